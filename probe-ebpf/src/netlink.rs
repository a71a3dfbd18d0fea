//! netlink: sockets that processes open, and the end of each. Keyed by the kernel's socket, so dup,
//! fork and SCM_RIGHTS change nothing. The kernel's own sockets are left out.

use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe, map, tracepoint},
    maps::LruHashMap,
    programs::{
        FEntryContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext,
        tracing::StackIdContext,
    },
};
use aya_log_ebpf::info;
use probe_common::{
    counter,
    netlink::{NetlinkRecord, SOCKET_BY_FD},
    wire::{kind, signal},
};

use crate::{
    birthplace,
    fd_table::{self, NetlinkFd},
    fork::SYS_EXIT_RET,
    kernel::{net, task},
    output, untold,
};

/// `AF_NETLINK` in `include/linux/socket.h`.
const AF_NETLINK: u64 = 16;
/// Calls that may be between entry and exit at once.
const IN_FLIGHT: u32 = 1024;

/// Arguments of a `netlink_create` that has not returned.
#[derive(Clone, Copy)]
#[repr(C)]
struct Creating {
    net: u64,
    socket: u64,
    protocol: u32,
    _pad: u32,
}

#[map]
static NETLINK_CREATING: LruHashMap<u64, Creating> = LruHashMap::with_max_entries(IN_FLIGHT, 0);

/// Protocol of a `socket(AF_NETLINK, ...)` that has not returned.
#[map]
static NETLINK_SOCKET: LruHashMap<u64, u32> = LruHashMap::with_max_entries(IN_FLIGHT, 0);

// int netlink_create(struct net *net, struct socket *sock, int protocol, int kern)
#[fexit]
fn netlink_open_fexit(ctx: FExitContext) -> i32 {
    let (kern, ret): (i32, i32) = (ctx.arg(3), ctx.arg(4));
    if kern == 0 && ret == 0 {
        opened(&ctx, ctx.arg(0), ctx.arg(1), ctx.arg(2));
    }
    0
}

#[kprobe]
fn netlink_open_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(net), Some(socket), Some(protocol), Some(0)) =
        (ctx.arg::<u64>(0), ctx.arg::<u64>(1), ctx.arg::<u32>(2), ctx.arg::<i32>(3))
    else {
        return 0;
    };
    let creating = Creating { net, socket, protocol, _pad: 0 };
    if NETLINK_CREATING.insert(output::thread_key(), creating, 0).is_err() {
        output::count(signal::NETLINK, counter::SEEN);
        output::count(signal::NETLINK, counter::LOST_STASH_FULL);
    }
    0
}

#[kretprobe]
fn netlink_open_kretprobe(ctx: RetProbeContext) -> u32 {
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let Some(creating) = (unsafe { NETLINK_CREATING.get(key) }).copied() else {
        return 0;
    };
    let _ = NETLINK_CREATING.remove(key);
    if ctx.ret::<i32>() == 0 {
        opened(&ctx, creating.net, creating.socket, creating.protocol);
    }
    0
}

#[inline(always)]
fn opened<C: StackIdContext + EbpfContext>(ctx: &C, net: u64, socket: u64, protocol: u32) {
    let Some(inode) = net::socket_inode(socket) else {
        output::count(signal::NETLINK, counter::SEEN);
        output::count(signal::NETLINK, counter::LOST_UNREADABLE);
        return;
    };
    let birthplace = birthplace::of_socket(ctx);
    untold::opened(inode, |record| {
        record.protocol = protocol;
        birthplace.write(record);
        record.header.netns = net::inum(net);
        output::copy_comm(&mut record.header);
    });
    info!(ctx, "netlink socket {} opened, protocol {}", inode, protocol);
}

// int netlink_release(struct socket *sock): the last close only, whoever does it.
#[fentry]
fn netlink_close_fentry(ctx: FEntryContext) -> i32 {
    closed(ctx.arg(0));
    0
}

#[kprobe]
fn netlink_close_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(socket) = ctx.arg(0) {
        closed(socket);
    }
    0
}

#[inline(always)]
fn closed(socket: u64) {
    if !net::has_file(socket) {
        return;
    }
    let Some(inode) = net::socket_inode(socket) else {
        output::count(signal::NETLINK, counter::SEEN);
        output::count(signal::NETLINK, counter::LOST_UNREADABLE);
        return;
    };
    birthplace::closed();
    untold::closed(inode);
}

// syscalls/sys_enter_socket: family at 16, type at 24, protocol at 32.
#[tracepoint]
fn netlink_sys_enter_socket(ctx: TracePointContext) -> u32 {
    // SAFETY: the arguments of a sys_enter tracepoint start at offset 16, 8 bytes each.
    let (family, protocol) = unsafe { (ctx.read_at::<u64>(16), ctx.read_at::<u64>(32)) };
    if family == Ok(AF_NETLINK) {
        let _ = NETLINK_SOCKET.insert(output::thread_key(), protocol.unwrap_or(0) as u32, 0);
    }
    0
}

#[tracepoint]
fn netlink_sys_exit_socket(ctx: TracePointContext) -> u32 {
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let Some(protocol) = (unsafe { NETLINK_SOCKET.get(key) }).copied() else {
        return 0;
    };
    let _ = NETLINK_SOCKET.remove(key);
    // SAFETY: every sys_exit tracepoint carries its return value there.
    let fd = unsafe { ctx.read_at::<i64>(SYS_EXIT_RET) }.unwrap_or(-1);
    if fd < 0 {
        return 0;
    }
    let netns = task::netns();
    fd_table::insert(fd as u32, NetlinkFd::new(protocol, netns));
    let birthplace = birthplace::of_socket(&ctx);
    untold::opened(SOCKET_BY_FD | fd_table::key(fd as u32), |record| {
        record.protocol = protocol;
        birthplace.write(record);
        record.header.netns = netns;
        output::copy_comm(&mut record.header);
    });
    info!(&ctx, "netlink socket opened as fd {}, protocol {}", fd, protocol);
    0
}

// syscalls/sys_enter_close: fd at 16.
#[tracepoint]
fn netlink_sys_enter_close(ctx: TracePointContext) -> u32 {
    // SAFETY: the arguments of a sys_enter tracepoint start at offset 16, 8 bytes each.
    let Ok(fd) = (unsafe { ctx.read_at::<u64>(16) }) else {
        return 0;
    };
    if fd_table::remove(fd as u32) {
        birthplace::closed();
        untold::closed(SOCKET_BY_FD | fd_table::key(fd as u32));
    }
    0
}

// sched/sched_process_exit: once a thread; the sockets go with the last one.
#[tracepoint]
fn netlink_process_exit(_ctx: TracePointContext) -> u32 {
    if fd_table::is_owner() && task::is_last_thread() {
        fd_table::forget_owner();
        birthplace::forget();
        output::emit::<NetlinkRecord>(kind::NETLINK_OWNER_EXIT, |_| {});
    }
    0
}
