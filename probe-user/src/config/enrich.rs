//! `[enrich]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the names of processes, pods and containers come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnrichConfig {
    /// Where the root of the node is mounted. Below it the kubelet and the container runtime keep
    /// the names of pods and containers.
    pub host_root: PathBuf,
    /// Whether findings show command lines. Values of flags such as `--token` are replaced, but a
    /// secret can stand anywhere.
    pub cmdline: bool,
}

impl Default for EnrichConfig {
    fn default() -> Self {
        Self { host_root: "/".into(), cmdline: true }
    }
}
