//! The numbers of tc findings.

use serde::Serialize;

use super::programs::{self, Program};
use crate::enrich::subject::Parent;

mod summary;

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
    Duplicates(Duplicates),
}

/// A program as `bpftool prog` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProgramEvidence {
    /// Id of this load.
    pub id: u32,
    /// Absent when it was given none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Digest of its instructions in hexadecimal.
    pub tag: String,
    /// What `tc` says it comes from: `classifier.o:[section]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl ProgramEvidence {
    /// What a finding says of a program.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        Self {
            id: program.id,
            name: program.name.text(),
            tag: program.tag.iter().map(|byte| format!("{byte:02x}")).collect(),
            source: program.source.clone(),
        }
    }

    fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.tag)
    }
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
    /// The program of the latest write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramEvidence>,
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
    /// The program that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramEvidence>,
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
    /// `filter`, `qdisc` or `program`: what was removed.
    pub removed: &'static str,
    /// Whether another one took its place.
    pub overwritten: bool,
    pub parent: String,
    /// The program removed, or the one that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<ProgramEvidence>,
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

/// Of `tc-duplicate-program`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    pub parent: String,
    /// The copy that came last.
    pub program: ProgramEvidence,
    /// How often it is there.
    pub copies: u64,
    /// The latest of them, newest first.
    pub attached: Vec<Copy>,
}

/// One of several copies of a program at an attach point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copy {
    pub program: ProgramEvidence,
    /// Id of the link that holds it; absent when it was attached without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_id: Option<u32>,
    /// Name of the agent that attached it.
    pub attached_by: Option<String>,
    pub attached_seconds_ago: u64,
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
        _ => programs::point_name(parent)
            .map_or_else(|| format!("{:x}:{:x}", parent >> 16, parent & 0xffff), Into::into),
    }
}
