//! What a finding adds to its incident: its clauses of the causal line, and what it can be linked by.
//! Each kind of evidence says it here; the compiler asks for a new one.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use rustc_hash::FxHasher;

use super::Evidence;
use crate::{
    enrich::subject::{Cgroup, Subject},
    signals::{
        fork::{Cause, ForkEvidence},
        netlink::NetlinkEvidence,
        tc::evidence::{ForeignRemoval, Rewrites, TcEvidence},
    },
};

/// Where a clause stands in the causal line, causes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A limit on tasks is reached, or nearly.
    Limit,
    /// Somebody is refused what the limit is on.
    Refused,
    /// Something is opened and never closed.
    Leak,
    /// The node's network is changed, or fails to be.
    Network,
}

/// Part of the causal line. Those that differ in their name only become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub stage: Stage,
    /// What stands before the name.
    pub before: &'static str,
    /// What stands behind it.
    pub after: &'static str,
    /// What several of them are called.
    pub unit: &'static str,
    /// Tells things of one name apart: each network namespace has an eth0.
    pub thing: u64,
    pub name: String,
}

impl Clause {
    /// A clause about something that its name tells from others.
    fn new(stage: Stage, text: [&'static str; 3], name: impl Into<String>) -> Self {
        let ([before, after, unit], name) = (text, name.into());
        Self { stage, before, after, unit, thing: hash(&name), name }
    }
}

/// A process that is behind what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    pub pid: u32,
    pub comm: Option<String>,
}

/// A limit that several can run into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `pids.max` of a cgroup.
    Cgroup(Cgroup),
    /// `RLIMIT_NPROC` of a user.
    User(u32),
    /// A sysctl of the whole node.
    Node(&'static str),
}

/// What a finding adds to its incident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub clauses: Vec<Clause>,
    pub limit: Option<Limit>,
    /// An agent it happens to, where it is not the subject.
    pub victim: Option<Agent>,
    /// How long before it fired it must have begun (ns).
    pub began_before: u64,
}

impl Evidence {
    /// What this adds to its incident.
    #[must_use]
    pub fn part(&self, subject: &Subject) -> Part {
        match self {
            Self::Fork(evidence) => of_fork(evidence, subject),
            Self::Netlink(evidence) => of_netlink(evidence, subject),
            Self::Tc(evidence) => of_tc(evidence, subject),
        }
    }
}

fn of_fork(evidence: &ForkEvidence, subject: &Subject) -> Part {
    let reached = |before, unit, name: String| {
        Some(Clause::new(Stage::Limit, [before, " is reached", unit], name))
    };
    let (limit, clause) = match evidence.cause {
        Cause::PidsMax { owner, .. } => {
            let owner = subject.limit_owner.clone().unwrap_or(Cgroup { id: owner, path: None });
            let name = owner.path.clone().unwrap_or_else(|| format!("cgroup {}", owner.id));
            (Some(Limit::Cgroup(owner)), reached("pids.max of ", "cgroups", name))
        }
        Cause::RlimitNproc { uid, .. } => {
            (Some(Limit::User(uid)), reached("RLIMIT_NPROC of ", "users", format!("user {uid}")))
        }
        // Which namespace is not known: two findings may be of two.
        Cause::PidMax { .. } => {
            (None, reached("kernel.pid_max of ", "pid namespaces", "its pid namespace".into()))
        }
        Cause::PidNamespaceDying => {
            let text = ["the init of ", " is gone", "pid namespaces"];
            (None, Some(Clause::new(Stage::Limit, text, "its pid namespace")))
        }
        Cause::Memory => {
            let text = ["the kernel found no ", "", "kinds of memory"];
            (None, Some(Clause::new(Stage::Limit, text, "memory")))
        }
        Cause::Unresolved => match &subject.node_limit {
            Some(node) => {
                let text = ["", " is reached, by the look of it", "limits of the node"];
                (Some(Limit::Node(node.name)), Some(Clause::new(Stage::Limit, text, node.name)))
            }
            None => (None, None),
        },
    };
    let refused = Clause::new(Stage::Refused, ["", " cannot fork", "programs"], program(subject));
    Part { clauses: clause.into_iter().chain([refused]).collect(), limit, ..Part::default() }
}

fn of_netlink(evidence: &NetlinkEvidence, subject: &Subject) -> Part {
    let text = ["netlink sockets pile up in ", "", "programs"];
    Part {
        clauses: vec![Clause::new(Stage::Leak, text, program(subject))],
        // It takes a history to know a leak, and the history is part of it.
        began_before: evidence
            .buckets
            .saturating_mul(evidence.bucket_seconds)
            .saturating_mul(1_000_000_000),
        ..Part::default()
    }
}

fn of_tc(evidence: &TcEvidence, subject: &Subject) -> Part {
    const FILTERS: &str = "tc filters of ";
    const QDISCS: &str = "tc qdiscs of ";
    let (before, after, victim) = match evidence {
        // Only a filter has a priority.
        TcEvidence::Rewrites(Rewrites { prio: 0, .. }) => (QDISCS, " are rewritten", None),
        TcEvidence::Rewrites(_) => (FILTERS, " are rewritten", None),
        TcEvidence::Failing(_) => (FILTERS, " cannot be attached", None),
        TcEvidence::PrioLeak(_) => (FILTERS, " pile up", None),
        TcEvidence::ForeignRemoval(ForeignRemoval { removed, victim, .. }) => {
            let before = if *removed == "qdisc" { QDISCS } else { FILTERS };
            let victim = Agent { pid: victim.pid, comm: victim.comm.clone() };
            (before, " are removed by a stranger", Some(victim))
        }
    };
    let interface = subject.interface.as_ref();
    let name = match interface.and_then(|interface| interface.name.clone()) {
        Some(name) => name,
        None => "an unnamed interface".into(),
    };
    let thing = hash(&(subject.netns, interface.map(|interface| interface.index), &name));
    let (stage, unit) = (Stage::Network, "interfaces");
    let clause = Clause { stage, before, after, unit, thing, name };
    Part { clauses: vec![clause], victim, ..Part::default() }
}

fn program(subject: &Subject) -> String {
    let comm = subject.process.as_ref().and_then(|process| process.comm.clone());
    comm.unwrap_or_else(|| "a process".into())
}

fn hash<T: Hash>(value: &T) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(value)
}
