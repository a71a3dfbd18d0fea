//! rtnl: waits for the RTNL mutex, which every change of the node's network takes.

use crate::wire::{COMM_LEN, Header};

/// Length kept of a workqueue's name (bytes); the kernel keeps 24 (`WORKER_DESC_LEN`).
pub const WORK_LEN: usize = 16;

/// A task at one end of a wait.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Cgroup in the hierarchy that has the pids controller; 0 when unknown.
    pub cgroup_id: u64,
    /// Process id in the initial pid namespace; 0 when nobody is known.
    pub tgid: u32,
    /// Process id of the parent; 0 when unknown.
    pub parent_tgid: u32,
    /// Name of the thread.
    pub comm: [u8; COMM_LEN],
    /// Name of the parent: `ip` is run by an agent, and that is the culprit.
    pub parent_comm: [u8; COMM_LEN],
    /// What a kernel worker works for, its workqueue's name; empty for any other task.
    pub work: [u8; WORK_LEN],
}

const _: () = assert!(size_of::<Party>() == 64);

/// One wait for the RTNL mutex, told when it is over.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtnlWaitRecord {
    /// Its `comm` is left out: `waiter` has it.
    pub header: Header,
    /// How long it took (ns).
    pub waited_ns: u64,
    pub waiter: Party,
    /// Who had the mutex when the wait began.
    pub holder: Party,
}

const _: () = assert!(size_of::<RtnlWaitRecord>() == 192);

/// A wait that is not over: a value of the map `RTNL_WAITING`, whose keys are the process id (high half)
/// and the thread id.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtnlWaiting {
    /// `CLOCK_BOOTTIME` when it began (ns).
    pub began_ns: u64,
    /// Who had the mutex then.
    pub holder: Party,
}

const _: () = assert!(size_of::<RtnlWaiting>() == 72);

/// Many waits in one record: short ones, and those above the budget of records.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RtnlShortRecord {
    /// Tells of the last of them.
    pub header: Header,
    /// How many they were.
    pub waits: u64,
    /// How long they took together (ns).
    pub waited_ns: u64,
}

const _: () = assert!(size_of::<RtnlShortRecord>() == 72);
