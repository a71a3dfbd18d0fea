//! fork: one record for each clone, clone3, fork or vfork that failed.

use crate::wire::Header;

/// Why a clone was refused, as the limits stood when it returned.
pub mod cause {
    /// No limit that the programs can read was reached.
    pub const UNRESOLVED: u32 = 0;
    /// `pids.max` of the cgroup `owner`: `current` tasks of `limit`.
    pub const PIDS_MAX: u32 = 1;
    /// `RLIMIT_NPROC` of user `uid`: `current` tasks of `limit`.
    pub const RLIMIT_NPROC: u32 = 2;
    /// `kernel.pid_max` of the pid namespace `owner`: `current` pids of `limit`.
    pub const PID_MAX: u32 = 3;
    /// The pid namespace's init is gone; nobody can be born there any more.
    pub const PID_NS_DYING: u32 = 4;
    /// No memory.
    pub const MEMORY: u32 = 5;
    /// `kernel.threads-max`: `current` tasks of `limit` on the node.
    pub const THREADS_MAX: u32 = 6;
}

/// `CLONE_INTO_CGROUP` of clone3(2), from 5.7 on: the child is born in a cgroup the caller names. The
/// header's `cgroup_id` is that cgroup then.
pub const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A clone that the kernel refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkRecord {
    pub header: Header,
    /// Clone flags (`CLONE_THREAD`, ...), the exit signal masked out.
    pub clone_flags: u64,
    /// Negative errno.
    pub ret: i32,
    /// One of [`cause`].
    pub cause: u32,
    /// Whose limit was reached: id of the cgroup, inode number of the pid namespace; else 0.
    pub owner: u64,
    /// Tasks or pids counted against the limit.
    pub current: u64,
    /// The limit.
    pub limit: u64,
    /// User id in the initial user namespace, for `RLIMIT_NPROC`.
    pub uid: u32,
    /// Steps up to `owner`, from the cgroup or pid namespace the child was to be born in.
    pub owner_steps: u32,
    /// Nesting of the pid namespace `owner`; 0 is the node's own.
    pub level: u32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<ForkRecord>() == 112);
