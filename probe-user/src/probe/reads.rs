//! What hooks read of the kernel's structures, and what they do not tell without it.

use probe_common::field::{self as f, FIELDS, KernelField, MISSING, OF_SOME_KERNELS};

use super::hook::Rung;
use crate::kernel::fields::Offsets;

/// Kernel fields that a hook reads for one purpose.
pub struct Reads {
    /// Indices of `probe_common::field`. Those that only some kernels have are left out: where they
    /// are missing, the programs have another way.
    pub fields: &'static [usize],
    /// What is not told without one of them, as the end of "does not see ...".
    pub tells: &'static str,
    /// Rungs that read them.
    pub on: &'static [Rung],
    /// Whether those rungs see nothing at all without one of them.
    pub vital: bool,
}

impl Reads {
    /// What is read on every rung, and a hook can do without.
    const fn new(fields: &'static [usize], tells: &'static str) -> Self {
        Self { fields, tells, on: &Rung::LADDER, vital: false }
    }

    /// What is read on some rungs only.
    const fn on(self, on: &'static [Rung]) -> Self {
        Self { on, ..self }
    }

    /// What a hook can do nothing without.
    const fn vital(self) -> Self {
        Self { vital: true, ..self }
    }

    /// Those of its fields whose place is not known, though every kernel should have them.
    #[must_use]
    pub fn missing(&self, offsets: &Offsets) -> Vec<KernelField> {
        let missing = |index: &&usize| {
            offsets.values.get(**index).is_none_or(|value| *value == MISSING)
                && !OF_SOME_KERNELS.contains(*index)
        };
        self.fields.iter().filter(missing).filter_map(|index| FIELDS.get(*index).copied()).collect()
    }
}

/// Rungs that sit on functions and have their arguments.
const FUNCTION: &[Rung] = &[Rung::Fexit, Rung::Kprobe];
const TRACEPOINT: &[Rung] = &[Rung::Tracepoint];

/// The cgroup of the current task where the pids controller is on cgroup v1.
pub const CGROUP_V1: Reads = Reads::new(
    &[
        f::TASK_CGROUPS,
        f::CSS_SET_SUBSYS,
        f::PIDS_CGRP_ID,
        f::CSS_CGROUP,
        f::CGROUP_KN,
        f::KERNFS_NODE_ID,
    ],
    "the cgroup it happened in, on a host with cgroup v1",
);

/// The network namespace of the current task.
pub const NETNS_OF_TASK: Reads = Reads::new(
    &[f::TASK_NSPROXY, f::NSPROXY_NET, f::NET_NS_INUM],
    "the network namespace of the task",
);

/// The same, where nothing else tells the namespace of a request.
pub const NETNS_OF_CALLER: Reads = NETNS_OF_TASK.on(TRACEPOINT);

/// The namespace a request came through.
pub const NETNS_OF_REQUEST: Reads = Reads::new(
    &[f::SK_BUFF_SK, f::SOCK_NET, f::NET_NS_INUM, f::NET_COOKIE],
    "the network namespace of the interface",
)
.on(FUNCTION);

/// The namespace whose packet filter is written.
pub const NETNS_OF_TABLE: Reads = Reads::new(
    &[f::SK_BUFF_SK, f::SOCK_NET, f::NET_NS_INUM, f::NET_COOKIE],
    "the network namespace of a table",
)
.vital();

/// A batch of netlink messages.
pub const BATCH: Reads = Reads::new(&[f::SK_BUFF_DATA, f::SK_BUFF_LEN], "what is written").vital();

/// The namespace a socket is made in.
pub const NETNS_OF_SOCKET: Reads =
    Reads::new(&[f::NET_NS_INUM], "the network namespace of a socket").on(FUNCTION);

/// An interface by its index, as `__dev_get_by_index` finds it.
pub const IFNAME: Reads = Reads::new(
    &[f::NET_DEV_INDEX_HEAD, f::NET_DEVICE_INDEX_HLIST, f::NET_DEVICE_IFINDEX, f::NET_DEVICE_NAME],
    "the names of interfaces",
);

/// Who the current process is for good, and who started it.
pub const STARTERS: Reads = Reads::new(
    &[
        f::TASK_GROUP_LEADER,
        f::TASK_START_BOOTTIME,
        f::TASK_REAL_PARENT,
        f::TASK_TGID,
        f::TASK_COMM,
    ],
    "who started the process",
);

/// The kernel's own words on a request.
pub const EXT_ACK: Reads = Reads::new(&[f::EXT_ACK_MESSAGE], "the kernel's words on a refusal");

/// What is behind an fd of the current process.
const FILE_OF_FD: [usize; 4] = [f::TASK_FILES, f::FILES_FDT, f::FDT_MAX_FDS, f::FDT_FD];

/// A bpf program by the fd a request has.
pub const PROGRAM: Reads = Reads::new(
    &[
        FILE_OF_FD[0],
        FILE_OF_FD[1],
        FILE_OF_FD[2],
        FILE_OF_FD[3],
        f::FILE_PRIVATE_DATA,
        f::BPF_PROG_AUX,
        f::BPF_PROG_TAG,
        f::BPF_PROG_AUX_ID,
        f::BPF_PROG_AUX_NAME,
        f::BPF_PROG_AUX_PROG,
    ],
    "which bpf program is attached",
);

/// A bpf link.
pub const LINK: Reads = Reads::new(
    &[
        f::BPF_LINK_ID,
        f::BPF_LINK_PROG,
        f::BPF_LINK_ATTACH_TYPE,
        f::TCX_LINK_LOCATION,
        f::NETKIT_LINK_LOCATION,
    ],
    "which bpf link holds a program",
);

/// The end of a TCX or netkit link.
pub const TCX_LINK: Reads =
    Reads::new(&[f::TCX_LINK_DEV, f::NETKIT_LINK_DEV], "programs whose link ends");

/// The end of an XDP link.
pub const XDP_LINK: Reads = Reads::new(&[f::XDP_LINK_DEV], "programs whose link ends");

/// An interface by its address.
pub const DEVICE: Reads = Reads::new(
    &[f::NET_DEVICE_IFINDEX, f::NET_DEVICE_NET, f::NET_NS_INUM],
    "which interface it was",
)
.on(FUNCTION);

/// An interface that goes: nothing else is told of it.
pub const GONE_DEVICE: Reads = DEVICE.vital();

/// The name of an interface by its address.
pub const DEVICE_NAME: Reads = Reads::new(&[f::NET_DEVICE_NAME], "the names of interfaces");

/// Limits of the current task's user.
pub const NPROC: Reads = Reads::new(
    &[
        f::TASK_CRED,
        f::CRED_UID,
        f::CRED_CAP_EFFECTIVE,
        f::TASK_SIGNAL,
        f::SIGNAL_RLIM,
        f::CRED_USER,
        f::USER_PROCESSES,
        f::CRED_UCOUNTS,
        f::UCOUNTS_UCOUNT,
        f::UCOUNT_NPROC,
        f::UCOUNTS_RLIMIT,
    ],
    "that RLIMIT_NPROC stopped a clone",
);

/// Limits of the pid namespaces.
pub const PID_NAMESPACES: Reads = Reads::new(
    &[
        f::TASK_NSPROXY,
        f::NSPROXY_PID_NS,
        f::PID_NS_PARENT,
        f::PID_NS_ALLOCATED,
        f::PID_NS_MAX,
        f::PID_NS_LEVEL,
        f::PID_NS_INUM,
    ],
    "that kernel.pid_max stopped a clone",
);

/// Limits of the cgroups.
pub const PIDS_MAX: Reads = Reads::new(
    &[
        f::TASK_CGROUPS,
        f::CSS_SET_SUBSYS,
        f::PIDS_CGRP_ID,
        f::CSS_CGROUP,
        f::CSS_PARENT,
        f::PIDS_COUNTER,
        f::PIDS_LIMIT,
        f::CGROUP_KN,
        f::KERNFS_NODE_ID,
    ],
    "that pids.max of a cgroup stopped a clone, and of which",
);

/// The cgroup that clone3 with `CLONE_INTO_CGROUP` names.
pub const INTO_CGROUP: Reads = Reads::new(
    &[
        f::CLONE_ARGS_CGROUP,
        FILE_OF_FD[0],
        FILE_OF_FD[1],
        FILE_OF_FD[2],
        FILE_OF_FD[3],
        f::FILE_DENTRY,
        f::DENTRY_INODE,
        f::INODE_PRIVATE,
        f::KERNFS_NODE_PRIV,
        f::CGROUP_SELF,
        f::CGROUP_SUBSYS,
    ],
    "the limits of a cgroup that a clone3 names",
)
.on(&[Rung::Fexit]);

/// Who a socket is, whoever has it.
pub const SOCKET: Reads = Reads::new(
    &[f::SOCKET_FILE, f::SOCKET_ALLOC_INODE, f::INODE_INO],
    "which socket opens or closes",
)
.on(FUNCTION)
.vital();

/// Where the current task entered the kernel.
pub const USER_STACK: Reads =
    Reads::new(&[f::TASK_STACK], "the frame that called socket() in code without frame pointers");

/// Whether the current task is the last of its process.
pub const LAST_THREAD: Reads =
    Reads::new(&[f::TASK_SIGNAL, f::SIGNAL_LIVE], "which thread of a process is the last to exit")
        .on(TRACEPOINT);

/// Who has a mutex, or waits for it.
pub const MUTEX_PARTIES: Reads = Reads::new(
    &[
        f::MUTEX_OWNER,
        f::TASK_TGID,
        f::TASK_COMM,
        f::TASK_FLAGS,
        f::TASK_REAL_PARENT,
        f::TASK_CGROUPS,
        f::CSS_SET_DFL_CGRP,
        f::CGROUP_KN,
        f::KERNFS_NODE_ID,
    ],
    "who has the mutex",
);

/// What a kernel worker works for.
pub const WORK: Reads = Reads::new(
    &[f::TASK_WORKER_PRIVATE, f::TASK_SET_CHILD_TID, f::KTHREAD_DATA, f::WORKER_DESC],
    "which work of the kernel has the mutex",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::SIGNALS;

    #[test]
    fn every_field_is_read_by_a_hook_that_says_what_it_is_for() {
        let hooks = SIGNALS.iter().flat_map(|signal| signal.hooks);
        let mut read: Vec<usize> =
            hooks.flat_map(|hook| hook.reads).flat_map(|reads| reads.fields).copied().collect();
        read.sort_unstable();
        read.dedup();
        assert_eq!(read, (0..FIELDS.len()).collect::<Vec<_>>());
    }

    #[test]
    fn what_older_kernels_lack_is_not_missing() {
        let mut offsets = Offsets { values: [0; f::COUNT], missing: Vec::new() };
        offsets.values[f::NET_COOKIE] = MISSING;
        assert!(NETNS_OF_REQUEST.missing(&offsets).is_empty());
        offsets.values[f::NET_NS_INUM] = MISSING;
        assert_eq!(NETNS_OF_REQUEST.missing(&offsets), [FIELDS[f::NET_NS_INUM]]);
    }
}
