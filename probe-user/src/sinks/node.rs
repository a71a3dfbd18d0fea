//! The name of the node, as backends file its records.

use std::{env, fs};

/// Names the node in the environment: a DaemonSet sets it from `spec.nodeName`.
const VARIABLE: &str = "NODE_NAME";

/// What the environment says, else the host's own name (uname(2)).
#[must_use]
pub fn name() -> String {
    let told = env::var(VARIABLE).ok().filter(|name| !name.trim().is_empty());
    let own = || fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = told.unwrap_or_else(own);
    name.trim().to_owned()
}
