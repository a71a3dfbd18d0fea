//! The numbers of a finding about refused clones.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Cause;
use crate::enrich::subject::Subject;

/// The numbers of a fork finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForkEvidence {
    /// Refused clones in the window, up to ten times the threshold. Libraries retry (vfork, then
    /// clone), so this is more than the number of forks somebody wanted.
    pub failures: u64,
    /// Refused clones of this cgroup since the agent first saw one.
    pub failures_total: u64,
    /// Length of the window (s).
    pub window_seconds: u64,
    /// Name of the errno.
    pub errno: &'static str,
    /// Which limit stopped the first one of the episode whose limit could be told.
    pub cause: Cause,
    /// Whether one of those refused was a node daemon.
    pub node_daemon: bool,
    /// Whether the process named is outside of the cgroup and wanted to start something in it
    /// (`CLONE_INTO_CGROUP`).
    pub into_cgroup: bool,
    /// Refused clones by the name of the thread that tried; the first eight names.
    pub victims: BTreeMap<String, u64>,
}

impl ForkEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        format!(
            "{} cannot fork {} {}: {} refused with {} in {} s; {}",
            subject.process_label(),
            if self.into_cgroup { "into" } else { "in" },
            subject.cgroup_label(),
            if self.failures == 1 {
                "a clone was".into()
            } else {
                format!("{} clones were", self.failures)
            },
            self.errno,
            self.window_seconds,
            self.cause.sentence(subject),
        )
    }
}
