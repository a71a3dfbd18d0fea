//! netlink: a record when a netlink socket is opened and one when it is gone.

use crate::wire::Header;

/// Set in [`NetlinkRecord::socket`] where the id is made of process and fd, which is all that
/// syscall tracepoints show; otherwise the id is the inode of the socket.
pub const SOCKET_BY_FD: u64 = 1 << 63;

/// Sockets a process has open when its next one is the first whose birthplace is noted. `ip`, `tc`
/// and `ss` never get there, so their calls pay for no stack.
pub const STACKS_FROM: u32 = 8;

/// [`NetlinkRecord::stack`] of a socket below [`STACKS_FROM`], or whose opening nobody saw.
pub const NO_STACK: i32 = i32::MIN;

/// A netlink socket came or went.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetlinkRecord {
    pub header: Header,
    /// Identity of the socket: its inode, or `SOCKET_BY_FD | tgid << 32 | fd`.
    pub socket: u64,
    /// On open: the word on top of the user stack, which is the return address of a `socket()` that
    /// makes no frame; 0 when unknown.
    pub caller: u64,
    /// `NETLINK_ROUTE`, ... of `include/uapi/linux/netlink.h`; 0 on close.
    pub protocol: u32,
    /// On open: id in the map of user stacks, a negative errno of `bpf_get_stackid` (bpf-helpers(7)),
    /// or [`NO_STACK`].
    pub stack: i32,
}

const _: () = assert!(size_of::<NetlinkRecord>() == 80);
