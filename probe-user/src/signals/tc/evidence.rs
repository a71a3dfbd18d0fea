//! The numbers of tc findings, and the sentences made of them.

use serde::Serialize;

use crate::enrich::subject::{Parent, Subject};

/// The numbers of a tc finding, by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TcEvidence {
    Rewrites(Rewrites),
    Failing(Failing),
    PrioLeak(PrioLeak),
    ForeignRemoval(ForeignRemoval),
    Asymmetry(Asymmetry),
    Sweep(Sweep),
}

/// Of `tc-rewrite-rate` and `tc-handle-toggle`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rewrites {
    /// Successful writes (NEW, REPLACE) in the window; exact up to ten times the critical threshold.
    pub writes: u64,
    /// Successful writes since the agent first saw this one.
    pub writes_total: u64,
    /// Times a handle came back after another one had taken its place, in the window.
    pub toggles: u64,
    /// The two handles that take turns; empty without a toggle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<u32>,
    /// Length of the window (s).
    pub window_seconds: u64,
    /// `ingress`, `egress`, or the parent as tc writes it.
    pub parent: String,
    pub prio: u16,
    /// Kind of qdisc or filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether success was only assumed: this rung does not see return codes.
    pub success_assumed: bool,
    /// Longest time one of the requests took in the kernel (ns).
    pub longest_ns: u64,
}

/// Of `tc-attach-failing`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// Refused writes in the window, none accepted; exact up to ten times the threshold.
    pub failures: u64,
    /// Length of the window (s).
    pub window_seconds: u64,
    pub parent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Name of the latest errno; absent where the rung does not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<&'static str>,
    /// The kernel's own sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Of `tc-prio-leak`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PrioLeak {
    /// Filters added without a priority and not deleted since.
    pub filters: u64,
    /// How many of them were there before the agent: that nobody gave them their priorities is
    /// inferred, as those descend one by one.
    #[serde(skip_serializing_if = "is_zero")]
    pub seeded: u64,
    pub parent: String,
}

/// Of `tc-foreign-removal` and `tc-foreign-overwrite`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForeignRemoval {
    /// `filter` or `qdisc`: what was removed.
    pub removed: &'static str,
    /// Whether another one took its place.
    pub overwritten: bool,
    pub parent: String,
    /// The agent that had attached there.
    pub victim: Parent,
    /// How long ago it last did (s).
    pub attached_seconds_ago: u64,
    /// Removals of this kind since the first.
    pub removals_total: u64,
    /// Whether success was only assumed: this rung does not see return codes.
    pub success_assumed: bool,
}

/// Of `tc-asymmetry`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asymmetry {
    /// Priority at which both directions had a filter.
    pub prio: u16,
    /// Handles of the ingress and the egress filter; empty when one is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<u32>,
    /// The direction that lost its filter: `ingress` or `egress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<&'static str>,
    /// For how long (s).
    pub seconds: u64,
    /// Writes of either direction since.
    pub writes_since: u64,
    /// The latest change of each direction; absent when it was before the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<LastChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<LastChange>,
    /// Whether success was only assumed: this rung does not see return codes.
    pub success_assumed: bool,
}

/// Who changed something last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastChange {
    /// `wrote` or `deleted`.
    pub what: &'static str,
    /// The agent; absent when a tool outlived whoever started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Parent>,
    pub seconds_ago: u64,
}

/// Of `tc-sweep`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sweep {
    /// Times the agent went through (nearly) all interfaces in the window; exact up to 8.
    pub sweeps: u64,
    /// Interfaces whose filters it wrote again that often.
    pub interfaces: u64,
    /// Interfaces of the namespace that are known to have filters.
    pub known_interfaces: u64,
    /// Length of the window (s).
    pub window_seconds: u64,
    /// Who wants it done.
    pub agent: Parent,
    /// How long ago its process started (s).
    pub agent_age_seconds: u64,
    /// Whether success was only assumed: this rung does not see return codes.
    pub success_assumed: bool,
}

impl TcEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let (who, interface) = (subject.process_label(), subject.interface_label());
        match self {
            Self::Rewrites(rewrites) => rewrites.summary(&who, &interface),
            Self::Failing(failing) => failing.summary(&who, &interface),
            // Who added them is not known.
            Self::PrioLeak(PrioLeak { filters, parent, .. }) if subject.process.is_none() => {
                format!(
                    "filters had piled up on {parent} of {interface} before the agent started: {filters} \
                 at priorities that descend one by one"
                )
            }
            Self::PrioLeak(PrioLeak { filters, parent, .. }) => format!(
                "{who} piles up filters on {parent} of {interface}: {filters} without a priority \
                 of their own, none deleted"
            ),
            Self::ForeignRemoval(removal) => removal.summary(&who, &interface),
            Self::Asymmetry(asymmetry) => asymmetry.summary(&who, &interface),
            Self::Sweep(sweep) => {
                let Sweep { sweeps, interfaces, known_interfaces, window_seconds, .. } = sweep;
                let netns = subject.netns.unwrap_or(0);
                format!(
                    "{who} wrote the filters of {interfaces} of {known_interfaces} interfaces (netns \
                     {netns}) again {sweeps} times in {window_seconds} s"
                )
            }
        }
    }
}

impl ForeignRemoval {
    fn summary(&self, who: &str, interface: &str) -> String {
        let Self { removed, parent, victim, .. } = self;
        let (victim, pid) = (victim.comm.as_deref().unwrap_or("another agent"), victim.pid);
        if self.overwritten {
            return format!(
                "{who} put a filter of its own in the place of {victim}'s (pid {pid}) at {parent} of \
                 {interface}"
            );
        }
        format!(
            "{who} removed the {removed} at {parent} of {interface}, which {victim} (pid {pid}) had \
             attached to"
        )
    }
}

impl Asymmetry {
    fn summary(&self, who: &str, interface: &str) -> String {
        let Self { prio, seconds, writes_since, .. } = self;
        match (self.handles.as_slice(), self.missing) {
            ([ingress, egress], _) => format!(
                "ingress and egress of {interface} do not agree at prio {prio}: handle {ingress:#x} \
                 and {egress:#x} for {seconds} s, while {who} wrote them {writes_since} times"
            ),
            (_, missing) => format!(
                "{} of {interface} has lost its filter at prio {prio}, for {seconds} s; {who} changed \
                 it last",
                missing.unwrap_or("one direction")
            ),
        }
    }
}

impl Rewrites {
    fn summary(&self, who: &str, interface: &str) -> String {
        let what = match &self.kind {
            Some(kind) => format!("{kind} {} prio {}", self.parent, self.prio),
            None => format!("{} prio {}", self.parent, self.prio),
        };
        let (writes, seconds) = (self.writes, self.window_seconds);
        match self.handles.as_slice() {
            [a, b] => format!(
                "{who} re-attaches {what} of {interface} without end: handle {a:#x} and {b:#x} took \
                 turns {} times, {writes} writes in {seconds} s",
                self.toggles
            ),
            _ => format!("{who} wrote {what} of {interface} {writes} times in {seconds} s"),
        }
    }
}

impl Failing {
    fn summary(&self, who: &str, interface: &str) -> String {
        let why = match (&self.message, self.errno) {
            (Some(message), _) => format!("the kernel says: {message}"),
            (None, Some(errno)) => format!("the kernel says {errno}"),
            (None, None) => "the kernel does not say why".into(),
        };
        let kind = self.kind.as_deref().unwrap_or("tc");
        format!(
            "{who} fails to attach {kind} to {} of {interface}: {} times in {} s, never once \
             accepted; {why}",
            self.parent, self.failures, self.window_seconds
        )
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A parent the way tc prints it (`TC_H_*` in include/uapi/linux/pkt_sched.h).
#[must_use]
pub fn parent_name(parent: u32) -> String {
    match parent {
        0xffff_fff2 => "ingress".into(),
        0xffff_fff3 => "egress".into(),
        0xffff_fff1 => "clsact".into(),
        0xffff_ffff => "root".into(),
        _ => format!("{:x}:{:x}", parent >> 16, parent & 0xffff),
    }
}
