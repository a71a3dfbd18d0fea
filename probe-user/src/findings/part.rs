//! What a finding adds to its incident: its clauses of the causal line, and what it can be linked by.
//! Each kind of evidence says it here; the compiler asks for a new one.

use std::hash::{BuildHasher, BuildHasherDefault, Hash};

use rustc_hash::FxHasher;

use super::Evidence;
use crate::{
    enrich::subject::{Cgroup, Subject},
    signals::{
        fd::{FdEvidence, Scope},
        firewall::FirewallEvidence,
        fork::{
            Cause, ForkEvidence,
            headroom::{HeadroomEvidence, LimitKind},
        },
        tc::evidence::{Failing, ForeignRemoval, Rewrites, TcEvidence},
    },
};

const THREADS_MAX: &str = "kernel.threads-max";
const PID_MAX: &str = "kernel.pid_max";

/// Where a clause stands in the causal line, causes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A limit on tasks is getting near.
    Filling,
    /// A limit on tasks is reached.
    Limit,
    /// Somebody is refused what the limit is on.
    Refused,
    /// Something is opened and never closed.
    Leak,
    /// The node's network is changed, or fails to be.
    Network,
    /// Others have to wait for it.
    Waiting,
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
    /// Inode number of a pid namespace.
    PidNamespace(u64),
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
            Self::ForkHeadroom(evidence) => of_headroom(evidence, subject),
            Self::Netlink(evidence) => {
                let history = evidence.buckets.saturating_mul(evidence.bucket_seconds);
                of_leak("netlink sockets pile up in ", program(subject), history)
            }
            Self::Fd(evidence) => of_fd(evidence, subject),
            Self::Tc(evidence) => of_tc(evidence, subject),
            Self::Firewall(evidence) => of_firewall(evidence, subject),
            Self::Rtnl(_) => {
                let text = ["tasks wait for ", "", "locks"];
                alone(Clause::new(Stage::Waiting, text, "the RTNL mutex"))
            }
        }
    }
}

fn alone(clause: Clause) -> Part {
    Part { clauses: vec![clause], ..Part::default() }
}

/// The cgroup that has a limit, and its name.
fn owner(id: u64, subject: &Subject) -> (Limit, String) {
    let owner = subject.limit_owner.clone().unwrap_or(Cgroup { id, path: None });
    let name = owner.path.clone().unwrap_or_else(|| format!("cgroup {}", owner.id));
    (Limit::Cgroup(owner), name)
}

fn of_headroom(evidence: &HeadroomEvidence, subject: &Subject) -> Part {
    let node = |name: &'static str| (Limit::Node(name), name.to_owned());
    let (limit, before, name) = match (evidence.kind, evidence.owner) {
        (LimitKind::PidsMax, id) => {
            let (limit, name) = owner(id.unwrap_or(0), subject);
            (limit, "pids.max of ", name)
        }
        (LimitKind::ThreadsMax, _) => {
            let (limit, name) = node(THREADS_MAX);
            (limit, "", name)
        }
        (LimitKind::PidMax, _) => {
            let (limit, name) = node(PID_MAX);
            (limit, "", name)
        }
    };
    let text = [before, " is getting near", "limits"];
    Part { limit: Some(limit), ..alone(Clause::new(Stage::Filling, text, name)) }
}

fn of_fork(evidence: &ForkEvidence, subject: &Subject) -> Part {
    let reached = |before, unit, name: String| {
        Some(Clause::new(Stage::Limit, [before, " is reached", unit], name))
    };
    let (limit, clause) = match evidence.cause {
        Cause::PidsMax { owner: id, .. } => {
            let (limit, name) = owner(id, subject);
            (Some(limit), reached("pids.max of ", "cgroups", name))
        }
        Cause::RlimitNproc { uid, .. } => {
            (Some(Limit::User(uid)), reached("RLIMIT_NPROC of ", "users", format!("user {uid}")))
        }
        Cause::ThreadsMax { .. } => {
            (Some(Limit::Node(THREADS_MAX)), reached("", "limits", THREADS_MAX.into()))
        }
        Cause::PidMax { level: 0, .. } => {
            (Some(Limit::Node(PID_MAX)), reached("", "limits", PID_MAX.into()))
        }
        Cause::PidMax { namespace, .. } => {
            let name = format!("pid namespace {namespace}");
            let limit = Limit::PidNamespace(namespace);
            (Some(limit), reached("kernel.pid_max of ", "pid namespaces", name))
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

fn of_leak(before: &'static str, name: String, history_seconds: u64) -> Part {
    let clause = Clause::new(Stage::Leak, [before, "", "programs"], name);
    // It takes a history to know a leak, and the history is part of it.
    Part { began_before: history_seconds.saturating_mul(1_000_000_000), ..alone(clause) }
}

fn of_fd(evidence: &FdEvidence, subject: &Subject) -> Part {
    let (name, limit) = match evidence.scope {
        Scope::Process => (program(subject), None),
        Scope::Node => ("the node".into(), Some(Limit::Node("fs.file-max"))),
    };
    let part = if evidence.inferred {
        alone(Clause::new(Stage::Leak, ["", " is out of fds", "programs"], name))
    } else {
        let history = evidence.buckets.saturating_mul(evidence.bucket_seconds);
        of_leak("fds pile up in ", name, history)
    };
    Part { limit, ..part }
}

fn of_tc(evidence: &TcEvidence, subject: &Subject) -> Part {
    const FILTERS: &str = "tc filters of ";
    const QDISCS: &str = "tc qdiscs of ";
    const PROGRAMS: &str = "tc programs of ";
    let (before, after, victim) = match evidence {
        // TCX, netkit and XDP have no kind.
        TcEvidence::Rewrites(Rewrites { kind: None, program: Some(_), .. }) => {
            (PROGRAMS, " are rewritten", None)
        }
        // Only a filter has a priority.
        TcEvidence::Rewrites(Rewrites { prio: 0, .. }) => (QDISCS, " are rewritten", None),
        TcEvidence::Rewrites(_) => (FILTERS, " are rewritten", None),
        TcEvidence::Failing(Failing { kind: None, program: Some(_), .. }) => {
            (PROGRAMS, " cannot be attached", None)
        }
        TcEvidence::Failing(_) => (FILTERS, " cannot be attached", None),
        TcEvidence::PrioLeak(_) => (FILTERS, " pile up", None),
        TcEvidence::Duplicates(_) => (PROGRAMS, " are attached more than once", None),
        TcEvidence::Asymmetry(_) => (FILTERS, " differ by direction", None),
        TcEvidence::Sweep(_) => {
            let netns = subject.netns.map_or_else(|| "unknown".into(), |netns| netns.to_string());
            let text = ["tc filters of all interfaces of netns ", " are rewritten", "namespaces"];
            return alone(Clause::new(Stage::Network, text, netns));
        }
        TcEvidence::ForeignRemoval(ForeignRemoval { removed, overwritten, victim, .. }) => {
            let before = match *removed {
                "qdisc" => QDISCS,
                "program" => PROGRAMS,
                _ => FILTERS,
            };
            let after = match overwritten {
                true => " are overwritten by a stranger",
                false => " are removed by a stranger",
            };
            (before, after, Some(Agent { pid: victim.pid, comm: victim.comm.clone() }))
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

fn of_firewall(evidence: &FirewallEvidence, subject: &Subject) -> Part {
    let name = evidence.table_label();
    let thing = hash(&(subject.netns, &name));
    let text = ["two backends rule ", "", "tables of the packet filter"];
    alone(Clause { thing, ..Clause::new(Stage::Network, text, name) })
}

fn program(subject: &Subject) -> String {
    let comm = subject.process.as_ref().and_then(|process| process.comm.clone());
    comm.unwrap_or_else(|| "a process".into())
}

fn hash<T: Hash>(value: &T) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(value)
}
