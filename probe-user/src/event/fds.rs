//! Open file descriptors, as a poller counts them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Open fds of one process; the event's context says which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessFds {
    /// Start of the process (clock ticks since boot, field 22 of proc_pid_stat(5)): tells it from
    /// another that gets its pid.
    pub start: u64,
    /// Open fds.
    pub open: u64,
    /// Its soft `RLIMIT_NOFILE`; `None` when unknown or unlimited.
    pub limit: Option<u64>,
    /// What they are, the most first; `None` where nobody looked.
    pub kinds: Option<FdKinds>,
}

/// What the fds of a process are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdKinds {
    /// The most first.
    pub kinds: Vec<FdKind>,
    /// One fd in so many was looked at; the numbers are estimates when it is more than 1.
    pub sampled: u64,
}

/// Fds of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdKind {
    /// `tcp CLOSE-WAIT`, `bpf-map`, `eventfd`, `file`, ...
    pub kind: Cow<'static, str>,
    pub open: u64,
    /// The directory that most files of this kind are in.
    pub directory: Option<String>,
}

/// A round through all processes is over: what it did not tell of is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdRound {
    /// Open files of the whole node; `None` when they could not be read.
    pub files: Option<NodeFiles>,
    /// Processes looked at.
    pub processes: u64,
    /// Processes not looked at: no time or no room.
    pub left_out: u64,
    /// Suspects whose fds were not told apart, likewise.
    pub not_told_apart: u64,
}

/// Open files of the whole node, `/proc/sys/fs/file-nr` of proc_sys_fs(5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFiles {
    /// Open files, which several fds may share.
    pub allocated: u64,
    /// `fs.file-max`.
    pub max: u64,
}
