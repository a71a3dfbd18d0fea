//! netlink: a record when a netlink socket is opened and one when it is gone.

use crate::wire::Header;

/// Set in [`NetlinkRecord::socket`] where the id is made of process and fd, which is all that
/// syscall tracepoints show; otherwise the id is the inode of the socket.
pub const SOCKET_BY_FD: u64 = 1 << 63;

/// A netlink socket came or went.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetlinkRecord {
    pub header: Header,
    /// Identity of the socket: its inode, or `SOCKET_BY_FD | tgid << 32 | fd`.
    pub socket: u64,
    /// `NETLINK_ROUTE`, ... of `include/uapi/linux/netlink.h`; 0 on close.
    pub protocol: u32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<NetlinkRecord>() == 72);
