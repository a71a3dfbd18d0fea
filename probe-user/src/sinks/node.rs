//! The name of the node, as backends file its records.

use std::{env, fs};

/// Names the node in the environment: a DaemonSet sets it from `spec.nodeName`.
const VARIABLE: &str = "NODE_NAME";

/// What the environment says, else the host's own name.
#[must_use]
pub fn name() -> String {
    told().unwrap_or_else(host)
}

/// Name of the Kubernetes node, where the environment says it.
#[must_use]
pub fn told() -> Option<String> {
    let told = env::var(VARIABLE).ok()?;
    let name = told.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The host's own name (uname(2)).
#[must_use]
pub fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}
