//! Events: decoded wire records, typed to the edge.

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    signals::{
        firewall::FirewallWrite,
        fork::ForkFailure,
        netlink::NetlinkChange,
        rtnl::{RtnlWaits, WaitingNow},
        tc::TcChange,
    },
    source::poll,
};

mod fds;
mod gap;

pub use fds::{FdKind, FdKinds, FdRound, NodeFiles, ProcessFds};
pub use gap::{Gap, HeldSockets};

/// Nanoseconds since boot (`CLOCK_BOOTTIME`); the only clock detectors know.
pub type BootNs = u64;

/// A task's name as the kernel keeps it: up to 15 bytes, not always UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub struct Comm(pub [u8; probe_common::wire::COMM_LEN]);

/// Text where a person may read it; in a capture its bytes.
impl Serialize for Comm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.serialize_str(&self.text().unwrap_or_default()),
            false => self.0.serialize(serializer),
        }
    }
}

/// Serializes a process that started another; in a capture this is what the pair itself would be.
///
/// # Errors
/// Those of the serializer.
pub fn starter<S: Serializer>(
    process: &Option<(u32, Comm)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Process {
        pid: u32,
        comm: Comm,
    }
    process.map(|(pid, comm)| Process { pid, comm }).serialize(serializer)
}

/// Serializes a NUL-padded name as text.
///
/// # Errors
/// Those of the serializer.
pub fn name<S: Serializer>(name: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(name).unwrap_or_default())
}

impl Comm {
    /// A name as the kernel would keep it.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let mut comm = Self::default();
        let kept = probe_common::wire::COMM_LEN - 1;
        comm.0.iter_mut().zip(name.bytes().take(kept)).for_each(|(to, from)| *to = from);
        comm
    }

    /// The bytes before the first NUL.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        until_nul(&self.0)
    }

    /// The name as text, bytes that are not UTF-8 replaced; `None` when the record had none.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        text(&self.0)
    }
}

/// The bytes of a NUL-padded array before its first NUL.
#[must_use]
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A NUL-padded array as text; `None` when it is empty.
#[must_use]
pub fn text(bytes: &[u8]) -> Option<String> {
    let bytes = until_nul(bytes);
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Who was running and where, in the kernel's own ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// When (ns since boot).
    pub at: BootNs,
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Cgroup in the hierarchy of the pids controller; `None` when unknown.
    pub cgroup: Option<u64>,
    /// Inode of the network namespace; `None` when unknown.
    pub netns: Option<u32>,
    pub comm: Comm,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub context: Context,
    /// How many events this one stands for, where the kernel side summed them up instead of sending a
    /// record for each: they came at their time, and are told a second or two late.
    pub sum: Option<u32>,
    pub body: Body,
}

impl Event {
    /// Something that was looked up.
    #[must_use]
    pub fn polled(context: Context, fact: Fact) -> Self {
        Self { context, sum: None, body: Body::Polled(fact) }
    }

    /// How many events this one stands for.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sum.map_or(1, |events| events as usize)
    }
}

/// What happened; one variant a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    Tc(TcChange),
    Fork(ForkFailure),
    Netlink(NetlinkChange),
    Rtnl(RtnlWaits),
    Firewall(FirewallWrite),
    /// Something that was looked up, not told: every detector gets it.
    Polled(Fact),
}

/// What a poller saw at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// Tasks of the whole node, and the limits on them.
    NodeTasks(NodeTasks),
    /// Tasks that have waited for the RTNL mutex for a second or more, and still do.
    RtnlWaiting(WaitingNow),
    /// Open fds of one process.
    ProcessFds(ProcessFds),
    /// A round through all processes' fds is over.
    FdRound(FdRound),
    /// Tasks of every cgroup that has a limit on them.
    CgroupTasks(LimitedCgroups),
    /// A poller, by its name, had no fd or no memory left to look with: what it did not tell of is
    /// unknown, not gone.
    Blind(#[serde(deserialize_with = "poll::known")] poll::Name),
    /// Records were lost.
    Gap(Gap),
    /// The sockets there are, asked for because records of netlink sockets were lost.
    HeldSockets(HeldSockets),
}

/// Every cgroup with a `pids.max`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitedCgroups {
    pub cgroups: Vec<CgroupTasks>,
    /// Cgroups that were not looked at for want of room.
    pub unvisited: u64,
}

/// A cgroup with a `pids.max` of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupTasks {
    /// Id of the cgroup: the inode number of its directory.
    pub id: u64,
    /// `pids.current`: tasks in it and below.
    pub current: u64,
    /// `pids.max`.
    pub limit: u64,
    /// Levels of cgroups below it; 0 for a leaf.
    pub height: u32,
}

/// Tasks of the whole node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTasks {
    /// Tasks there are (proc_loadavg(5)).
    pub current: u64,
    /// `kernel.threads-max`.
    pub threads_max: u64,
    /// `kernel.pid_max`.
    pub pid_max: u64,
}

impl Fact {
    /// Every label of what can be seen.
    pub const LABELS: [&'static str; 7] = [
        "node_tasks",
        "process_fds",
        "fd_round",
        "cgroup_tasks",
        "rtnl_waiting",
        "gap",
        "held_sockets",
    ];

    /// The kind of fact as a metric label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NodeTasks(_) => Self::LABELS[0],
            Self::ProcessFds(_) => Self::LABELS[1],
            Self::FdRound(_) => Self::LABELS[2],
            Self::CgroupTasks(_) => Self::LABELS[3],
            Self::RtnlWaiting(_) => Self::LABELS[4],
            Self::Blind(_) => "blind",
            Self::Gap(_) => Self::LABELS[5],
            Self::HeldSockets(_) => Self::LABELS[6],
        }
    }
}
