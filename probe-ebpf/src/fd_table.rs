//! Which fds are netlink sockets, for the tracepoint rung: syscall tracepoints show fds, not sockets.

use aya_ebpf::{macros::map, maps::LruHashMap};

use crate::{kernel::task, output};

/// Netlink fds known at once on a node; the least recently used is forgotten first.
const KNOWN_FDS: u32 = 16_384;
/// Processes with netlink fds known at once.
const KNOWN_OWNERS: u32 = 4_096;

/// A netlink socket behind an fd.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct NetlinkFd {
    pub protocol: u32,
    /// Network namespace the socket was opened in.
    pub netns: u32,
    /// Start of the owning process (ns): tells a reused pid from the one that opened it.
    owner_start: u64,
}

impl NetlinkFd {
    #[inline(always)]
    pub fn new(protocol: u32, netns: u32) -> Self {
        Self { protocol, netns, owner_start: task::process_start() }
    }
}

#[map]
static NETLINK_FDS: LruHashMap<u64, NetlinkFd> = LruHashMap::with_max_entries(KNOWN_FDS, 0);

/// Start time (ns) of each process that opened a netlink fd.
#[map]
static NETLINK_OWNERS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(KNOWN_OWNERS, 0);

#[inline(always)]
fn tgid() -> u32 {
    (output::thread_key() >> 32) as u32
}

/// The key of an fd of the current process: tgid in the upper half, fd in the lower.
#[inline(always)]
pub fn key(fd: u32) -> u64 {
    (tgid() as u64) << 32 | fd as u64
}

/// Remembers an fd of the current process.
#[inline(always)]
pub fn insert(fd: u32, entry: NetlinkFd) {
    let _ = NETLINK_FDS.insert(key(fd), entry, 0);
    let _ = NETLINK_OWNERS.insert(tgid(), entry.owner_start, 0);
}

/// What the current process has behind `fd`, if it is a netlink socket.
#[inline(always)]
pub fn get(fd: u32) -> Option<NetlinkFd> {
    // SAFETY: the value is copied at once; a torn one fails the start-time check.
    let entry = *unsafe { NETLINK_FDS.get(key(fd)) }?;
    if entry.owner_start == task::process_start() { Some(entry) } else { None }
}

/// Forgets an fd of the current process; whether it was a netlink socket.
#[inline(always)]
pub fn remove(fd: u32) -> bool {
    get(fd).is_some() && NETLINK_FDS.remove(key(fd)).is_ok()
}

/// Whether the current process opened netlink fds.
#[inline(always)]
pub fn is_owner() -> bool {
    // SAFETY: the value is copied at once.
    let start = unsafe { NETLINK_OWNERS.get(tgid()) }.copied();
    start.is_some_and(|start| start == task::process_start())
}

/// Forgets the current process.
#[inline(always)]
pub fn forget_owner() {
    let _ = NETLINK_OWNERS.remove(tgid());
}
