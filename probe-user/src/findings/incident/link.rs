//! What makes two findings one incident. Each rule here is a cause that is known to have that
//! effect; to happen at the same time is none.
//!
//! * The same agent is behind both. `tc` and `ip` stand for whoever started them.
//! * Both ran into the same limit.
//! * The one is something that can follow from the other ([`FOLLOWS`]), it happened below the cgroup
//!   whose limit was reached or in the cgroup that was refused tasks, and did not begin before it.

use crate::{
    enrich::subject::{Cgroup, Subject},
    event::BootNs,
    findings::part::{Agent, Limit, Part, Stage},
    signals::tools::is_tool,
};

/// How much later than its effect a cause may have been noticed (ns): rules look at windows of up to
/// a minute.
pub const SLACK: u64 = 60_000_000_000;

/// Which stage has which effect. A leak and refused forks are none of each other's. A limit that is
/// getting near is felt by nobody yet: only those that reach the same one follow from it.
const FOLLOWS: [(Stage, Stage); 7] = [
    (Stage::Filling, Stage::Limit),
    (Stage::Filling, Stage::Refused),
    (Stage::Limit, Stage::Refused),
    (Stage::Limit, Stage::Network),
    (Stage::Refused, Stage::Network),
    (Stage::Leak, Stage::Network),
    (Stage::Network, Stage::Waiting),
];

/// Whether what the one stage says can be an effect of the other.
pub fn may_follow(cause: Stage, effect: Stage) -> bool {
    FOLLOWS.contains(&(cause, effect))
}

/// What a finding can be linked by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// When it began.
    pub since: BootNs,
    stages: Vec<Stage>,
    agents: Vec<Agent>,
    cgroup: Option<Cgroup>,
    limit: Option<Limit>,
}

impl Trace {
    /// The trace of a finding that fires at `at`.
    pub fn new(subject: &Subject, part: &Part, at: BootNs) -> Self {
        Self {
            since: at.saturating_sub(part.began_before),
            stages: part.clauses.iter().map(|clause| clause.stage).collect(),
            agents: agent(subject).into_iter().chain(part.victim.clone()).collect(),
            cgroup: subject.cgroup.clone(),
            limit: part.limit.clone(),
        }
    }

    /// Whether whatever is linked with the other is linked with this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.since <= other.since && Self { since: self.since, ..other.clone() } == *self
    }

    fn has(&self, stage: Stage) -> bool {
        self.stages.contains(&stage)
    }

    /// Whether a cgroup is one that this finding's limit, or its refusals, are felt in.
    fn reaches(&self, cgroup: &Cgroup) -> bool {
        let own = self.cgroup.as_ref().filter(|_| self.has(Stage::Refused));
        let below = match &self.limit {
            Some(Limit::Cgroup(owner)) => contains(owner, cgroup),
            Some(Limit::User(_) | Limit::PidNamespace(_) | Limit::Node(_)) | None => false,
        };
        below || own.is_some_and(|own| own.id == cgroup.id)
    }
}

/// Who is behind a finding.
fn agent(subject: &Subject) -> Option<Agent> {
    let process = subject.process.as_ref()?;
    let of_tool = process.comm.as_ref().filter(|comm| is_tool(comm.as_bytes()));
    Some(match of_tool.and(process.parent.as_ref()) {
        Some(parent) => Agent { pid: parent.pid, comm: parent.comm.clone() },
        None => Agent { pid: process.pid, comm: process.comm.clone() },
    })
}

/// Whether two findings are of one incident.
pub fn linked(a: &Trace, b: &Trace) -> bool {
    same_agent(a, b)
        || (a.limit.is_some() && a.limit == b.limit)
        || is_effect(a, b)
        || is_effect(b, a)
}

/// By pid, and by name or cgroup: threads have names of their own, and pids are used again. By name
/// in one cgroup too: an agent that was restarted is the same agent.
fn same_agent(a: &Trace, b: &Trace) -> bool {
    let same_cgroup =
        a.cgroup.as_ref().zip(b.cgroup.as_ref()).is_some_and(|(one, other)| one.id == other.id);
    a.agents.iter().any(|one| {
        b.agents.iter().any(|other| {
            let same_pid = one.pid != 0 && one.pid == other.pid;
            let same_name = one.comm.is_some() && one.comm == other.comm;
            [same_pid, same_name, same_cgroup].into_iter().filter(|same| *same).count() >= 2
                && (same_pid || same_name)
        })
    })
}

fn is_effect(cause: &Trace, effect: &Trace) -> bool {
    let declared = FOLLOWS.iter().any(|(one, other)| {
        !matches!(one, Stage::Leak | Stage::Filling)
            && cause.has(*one)
            && effect.has(*other)
            && !effect.has(*one)
    });
    declared
        && cause.since <= effect.since.saturating_add(SLACK)
        && effect.cgroup.as_ref().is_some_and(|cgroup| cause.reaches(cgroup))
}

/// Whether a cgroup is the other one or below it.
fn contains(owner: &Cgroup, cgroup: &Cgroup) -> bool {
    if owner.id == cgroup.id {
        return true;
    }
    let (Some(owner), Some(path)) = (&owner.path, &cgroup.path) else { return false };
    let rest = path.strip_prefix(owner.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
