//! What a detector raises and what becomes of it: a [`Condition`] holds or not at a moment; a
//! [`Finding`] is one episode of it, with an identity, a beginning and an end.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    enrich::subject::Subject,
    event::{BootNs, Comm, Context},
    signals::{
        fd::FdEvidence,
        firewall::FirewallEvidence,
        fork::{ForkEvidence, headroom::HeadroomEvidence},
        netlink::NetlinkEvidence,
        rtnl::evidence::RtnlEvidence,
        tc::evidence::TcEvidence,
    },
    text::plain,
};

pub mod book;
pub mod clock;
mod episode;
mod incident;
mod part;
#[cfg(test)]
pub mod testing;

pub use incident::Incident;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    /// All severities, for metric registration.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The severity as a metric label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the condition still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Firing,
    Resolved,
}

impl State {
    /// The state as a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// A rule a detector applies.
#[derive(Debug)]
pub struct Rule {
    /// Name in findings, metrics and documentation; begins with the signal's.
    pub name: &'static str,
    /// Name of the signal.
    pub signal: &'static str,
    /// What it means when it fires.
    pub meaning: &'static str,
    /// How it is computed, in words.
    pub computed: &'static str,
    /// Configuration keys it depends on, `section.key`; `explain` prints their values.
    pub keys: &'static [&'static str],
    /// What looks like it and is none, and when it may be wrong.
    pub false_alarms: &'static str,
    /// What to do next.
    pub advice: &'static str,
}

/// An interface as the kernel names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Index in its network namespace.
    pub index: i32,
    /// Name at event time; absent when it was not to be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Who and where, in kernel ids: what a detector knows without looking anything up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub context: Context,
    /// The process that started this one, where the record says it.
    pub parent: Option<(u32, Comm)>,
    pub interface: Option<Interface>,
    /// Id of the cgroup whose limit was reached.
    pub limit_owner: Option<u64>,
}

/// The numbers behind a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Evidence {
    Tc(TcEvidence),
    Fork(ForkEvidence),
    ForkHeadroom(HeadroomEvidence),
    Netlink(NetlinkEvidence),
    Rtnl(RtnlEvidence),
    Fd(FdEvidence),
    Firewall(FirewallEvidence),
}

impl Evidence {
    /// One sentence on one line that says what happens, to whom and how much: for people, whichever way
    /// it takes to them. Names as they are have fields of their own.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let sentence = match self {
            Self::Tc(evidence) => evidence.summary(subject),
            Self::Fork(evidence) => evidence.summary(subject),
            Self::ForkHeadroom(evidence) => evidence.summary(subject),
            Self::Netlink(evidence) => evidence.summary(subject),
            // The subject is the holder it fired for; the first holder may be another one by now.
            Self::Rtnl(evidence) => evidence.summary(),
            Self::Fd(evidence) => evidence.summary(subject),
            Self::Firewall(evidence) => evidence.summary(subject),
        };
        plain(&sentence)
    }
}

/// A rule that holds for a subject at a moment.
#[derive(Clone, Debug)]
pub struct Condition {
    pub rule: &'static Rule,
    /// Identity of the subject within the rule.
    pub key: u64,
    pub severity: Severity,
    pub at: BootNs,
    /// How long after `at` the condition must be gone before its finding resolves (ns).
    pub hold: u64,
    pub who: Who,
    pub evidence: Evidence,
}

/// One episode of a condition, as sinks get it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Stable through all revisions of the episode.
    pub id: String,
    /// 1 when it fires, one more each time it is sent again.
    pub revision: u32,
    pub state: State,
    pub signal: &'static str,
    pub rule: &'static str,
    /// The worst the episode has been.
    pub severity: Severity,
    pub summary: String,
    pub advice: &'static str,
    /// When it fired, by the node's calendar of that moment. Stays, also when it fires again.
    pub first_seen: Timestamp,
    /// `first_seen` and the time since then that the condition held last, by `CLOCK_BOOTTIME`: no step
    /// of the wall clock in between moves it.
    pub last_seen: Timestamp,
    /// Times it began again after it had resolved.
    pub flaps: u32,
    /// What it is a part of, alone or with others.
    pub incident: Incident,
    pub subject: Subject,
    pub evidence: Evidence,
}
