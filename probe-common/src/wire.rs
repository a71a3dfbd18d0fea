//! The header every record starts with, and the kinds of record.

/// Length of a task's name, `TASK_COMM_LEN` in `include/linux/sched.h` (bytes).
pub const COMM_LEN: usize = 16;

/// What a record is about; also the index of the signal's block of counters.
pub mod signal {
    /// tc requests (qdiscs and filters).
    pub const TC: u32 = 0;
    /// Refused clones.
    pub const FORK: u32 = 1;
    /// Netlink sockets.
    pub const NETLINK: u32 = 2;
    /// Waits for the RTNL mutex.
    pub const RTNL: u32 = 3;
    /// File descriptors of every kind: polled, so it has no record kinds and its counters stay 0.
    pub const FD: u32 = 4;
    /// Writes to the packet filter.
    pub const FIREWALL: u32 = 5;
    /// Number of signals.
    pub const COUNT: u32 = 6;
}

/// Record kinds: the signal in the high byte, what happened in the low byte.
pub mod kind {
    use super::signal;

    /// A tc request that rtnetlink answered: [`crate::tc::TcRecord`].
    pub const TC_REQUEST: u16 = (signal::TC as u16) << 8 | 1;
    /// An interface goes away, with its tc state: [`crate::tc::LinkGoneRecord`].
    pub const TC_LINK_GONE: u16 = (signal::TC as u16) << 8 | 2;
    /// A program attached by TCX, netkit or XDP: [`crate::bpf::TcBpfRecord`].
    pub const TC_BPF_ATTACH: u16 = (signal::TC as u16) << 8 | 3;
    /// A clone, fork or vfork refused with EAGAIN or ENOMEM: [`crate::fork::ForkRecord`].
    pub const FORK_FAILED: u16 = (signal::FORK as u16) << 8 | 1;
    /// One that failed with another errno: a caller's mistake (EINVAL) or a policy (EPERM, ENOSPC),
    /// not exhaustion: [`crate::fork::ForkRecord`].
    pub const FORK_REJECTED: u16 = (signal::FORK as u16) << 8 | 2;
    /// A process opened a netlink socket: [`crate::netlink::NetlinkRecord`].
    pub const NETLINK_OPEN: u16 = (signal::NETLINK as u16) << 8 | 1;
    /// The last reference to a netlink socket is gone: [`crate::netlink::NetlinkRecord`].
    pub const NETLINK_CLOSE: u16 = (signal::NETLINK as u16) << 8 | 2;
    /// A process that held netlink sockets is gone, and they with it (tracepoint rung only):
    /// [`crate::netlink::NetlinkRecord`] with socket 0.
    pub const NETLINK_OWNER_EXIT: u16 = (signal::NETLINK as u16) << 8 | 3;
    /// Sockets of one process that were opened and closed before anybody was told:
    /// [`crate::netlink::NetlinkRecord`] of one of them; two events a socket.
    pub const NETLINK_CHURN: u16 = (signal::NETLINK as u16) << 8 | 4;
    /// A wait for the RTNL mutex is over: [`crate::rtnl::RtnlWaitRecord`].
    pub const RTNL_WAIT: u16 = (signal::RTNL as u16) << 8 | 1;
    /// Waits that got no record of their own: [`crate::rtnl::RtnlShortRecord`].
    pub const RTNL_SHORT: u16 = (signal::RTNL as u16) << 8 | 2;
    /// Legacy iptables replaced a table: [`crate::firewall::FirewallRecord`].
    pub const FIREWALL_LEGACY: u16 = (signal::FIREWALL as u16) << 8 | 1;
    /// A batch of nftables was committed: [`crate::firewall::FirewallRecord`].
    pub const FIREWALL_NFT: u16 = (signal::FIREWALL as u16) << 8 | 2;
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// The hook cannot see the return code; `ret` is meaningless.
    pub const RET_UNKNOWN: u32 = 1 << 0;
    /// The hook cannot see the clone flags.
    pub const CLONE_FLAGS_UNKNOWN: u32 = 1 << 1;
    /// The agent made this record of what it found in /proc: it tells of what was there before the
    /// hooks were, and `ts_ns` is when it was found.
    pub const SEEDED: u32 = 1 << 2;
}

/// What every record starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u16,
    /// Length of the whole record (bytes).
    pub len: u16,
    /// Bits of [`flag`].
    pub flags: u32,
    /// `CLOCK_BOOTTIME` when the event ended (ns).
    pub ts_ns: u64,
    /// Process id in the initial pid namespace (the kernel's tgid).
    pub tgid: u32,
    /// Thread id in the initial pid namespace (the kernel's pid).
    pub pid: u32,
    /// Cgroup of the task in the hierarchy that has the pids controller; 0 when unknown.
    pub cgroup_id: u64,
    /// Inode number of the network namespace the event is about; 0 when unknown.
    pub netns: u32,
    /// How many events without a record of their own this record tells of, itself one of them; 0 for
    /// a record of one event.
    pub events: u32,
    /// Name of the thread, NUL-terminated; empty where the kind leaves it out.
    pub comm: [u8; COMM_LEN],
}

const _: () = assert!(size_of::<Header>() == 56);
