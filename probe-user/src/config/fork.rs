//! `[fork]`

use serde::{Deserialize, Serialize};

use super::span::{Span, within};

/// Thresholds of the fork signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForkConfig {
    /// Length of the window that refused clones are counted in.
    pub window: Span,
    /// Refused clones of one cgroup in the window that warn.
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub failures: usize,
    /// A cgroup that reaches a `pids.max` of its own, or of the one right above it, of at most this
    /// many tasks is its own affair: info instead of a warning.
    #[serde(deserialize_with = "within::<_, 0, 4_194_304>")]
    pub small_limit: usize,
    /// Names of node daemons: the first clone refused to one of them is critical. Compared with the
    /// first 15 bytes, which is what the kernel keeps.
    pub critical_comms: Vec<String>,
    /// Time between two looks at the tasks of the node and of each cgroup that has a limit.
    pub poll: Span,
    /// Used part of a limit on tasks that warns (percent).
    #[serde(deserialize_with = "within::<_, 1, 100>")]
    pub headroom_warn_percent: usize,
    /// Used part that is critical (percent).
    #[serde(deserialize_with = "within::<_, 1, 100>")]
    pub headroom_critical_percent: usize,
    /// A limit that would be reached sooner than this, at the growth of the last minute, is critical.
    pub headroom_left: Span,
    /// Growth is looked at only from this used part on (percent): starting up is no leak.
    #[serde(deserialize_with = "within::<_, 0, 100>")]
    pub headroom_growth_percent: usize,
    /// A smaller `pids.max` is there to keep something from forking and not to be lived in: no
    /// headroom is asked of it (tasks).
    #[serde(deserialize_with = "within::<_, 0, 4_194_304>")]
    pub headroom_least_limit: usize,
    /// How long it must be quiet before a finding resolves.
    pub hold: Span,
}

impl Default for ForkConfig {
    fn default() -> Self {
        let daemons = [
            "kubelet",
            "containerd",
            "containerd-shim",
            "dockerd",
            "crio",
            "conmon",
            "runc",
            "calico-node",
            "calico",
            "cilium-agent",
            "kube-proxy",
            "systemd",
            "sshd",
        ];
        Self {
            window: Span::seconds(10),
            failures: 5,
            small_limit: 4_096,
            critical_comms: daemons.map(String::from).to_vec(),
            poll: Span::seconds(5),
            headroom_warn_percent: 80,
            headroom_critical_percent: 90,
            headroom_left: Span::seconds(300),
            headroom_growth_percent: 50,
            headroom_least_limit: 64,
            hold: Span::seconds(60),
        }
    }
}
