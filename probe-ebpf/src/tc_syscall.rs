//! tc without tracing programs: requests are parsed as they are sent, from the sender's memory.
//!
//! rtnetlink answers inside `sendmsg`, in the sender's context. So what happens in that thread
//! before the call returns belongs to the request: an ext-ack sentence, a qdisc made or destroyed.
//! The return code itself travels in a later message and is not seen.

use aya_ebpf::{
    helpers::bpf_probe_read_user,
    macros::{map, tracepoint},
    maps::{LruHashMap, PerCpuArray},
    programs::TracePointContext,
};
use probe_common::{
    counter,
    tc::TcRecord,
    wire::{flag, kind, signal},
};

use crate::{
    budget, fd_table,
    fork::SYS_EXIT_RET,
    kernel::{copy_str, net, task},
    output,
    tc::{TcMsg, TcRequest, budget_of, fill, is_tc_write},
    tc_attributes::{self, User},
};

/// `NETLINK_ROUTE` in `include/uapi/linux/netlink.h`.
const NETLINK_ROUTE: u32 = 0;
/// Requests between the entry and the exit of their call.
const IN_FLIGHT: u32 = 256;
/// Offset of `msg_iov` in `struct user_msghdr` (`include/linux/socket.h`).
const MSG_IOV: u64 = 16;

#[map]
static TC_SENDING: LruHashMap<u64, TcRecord> = LruHashMap::with_max_entries(IN_FLIGHT, 0);

/// Room to build a record in: it would take half of a program's stack.
#[map]
static TC_SCRATCH: PerCpuArray<TcRecord> = PerCpuArray::with_max_entries(1, 0);

#[inline(always)]
fn read_user<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

#[inline(always)]
fn argument(ctx: &TracePointContext, n: usize) -> u64 {
    // SAFETY: the arguments of a sys_enter tracepoint start at offset 16, 8 bytes each.
    unsafe { ctx.read_at(16 + 8 * n) }.unwrap_or(0)
}

// sendmsg(fd, const struct user_msghdr *, flags)
#[tracepoint]
fn tc_sys_enter_sendmsg(ctx: TracePointContext) -> u32 {
    let Some(entry) = route_socket(&ctx) else {
        return 0;
    };
    let Some(iov) = read_user::<u64>(argument(&ctx, 1) + MSG_IOV) else {
        return 0;
    };
    if let Some([base, len]) = read_user::<[u64; 2]>(iov) {
        sending(entry, base, len);
    }
    0
}

// sendto(fd, const void *buff, len, flags, addr, addr_len); also send(2)
#[tracepoint]
fn tc_sys_enter_sendto(ctx: TracePointContext) -> u32 {
    if let Some(entry) = route_socket(&ctx) {
        sending(entry, argument(&ctx, 1), argument(&ctx, 2));
    }
    0
}

#[inline(always)]
fn route_socket(ctx: &TracePointContext) -> Option<fd_table::NetlinkFd> {
    let entry = fd_table::get(argument(ctx, 0) as u32)?;
    if entry.protocol == NETLINK_ROUTE { Some(entry) } else { None }
}

#[inline(always)]
fn sending(entry: fd_table::NetlinkFd, buffer: u64, len: u64) {
    if len < size_of::<TcRequest>() as u64 {
        return;
    }
    let Some(message) = read_user::<TcRequest>(buffer) else {
        return;
    };
    if !is_tc_write(message.nl.kind) {
        return;
    }
    if (message.nl.len as u64 + 3) & !3 < len {
        output::count(signal::TC, counter::SEEN);
        output::count(signal::TC, counter::LOST_BATCHED);
    }
    let Some(record) = TC_SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this CPU's own scratch, and all-zero bytes are a valid record.
    let record = unsafe {
        record.write_bytes(0, 1);
        &mut *record
    };
    output::stamp(record, kind::TC_REQUEST);
    record.header.flags = flag::RET_UNKNOWN;
    // A library may open its socket in one namespace and send from another: only the socket's own
    // may lend its names.
    fill(record, &message, task::net().filter(|net| net::inum(*net) == entry.netns));
    record.header.netns = entry.netns;
    tc_attributes::copy::<User>(record, buffer, &message.nl);
    if TC_SENDING.insert(output::thread_key(), *record, 0).is_err() {
        output::count(signal::TC, counter::SEEN);
        output::count(signal::TC, counter::LOST_STASH_FULL);
    }
}

/// The request the current thread is sending.
#[inline(always)]
fn in_flight<'a>() -> Option<&'a mut TcRecord> {
    let record = TC_SENDING.get_ptr_mut(output::thread_key())?;
    // SAFETY: the entry belongs to this thread alone until its call returns.
    Some(unsafe { &mut *record })
}

// netlink/netlink_extack: __data_loc char[] msg at offset 8 (offset in the low half).
#[tracepoint]
fn tc_ext_ack(ctx: TracePointContext) -> u32 {
    if let Some(record) = in_flight() {
        // SAFETY: the tracepoint's only field.
        let location = unsafe { ctx.read_at::<u32>(8) }.unwrap_or(0);
        let text = aya_ebpf::EbpfContext::as_ptr(&ctx) as u64 + (location & 0xffff) as u64;
        copy_str(&mut record.message, text);
    }
    0
}

// qdisc/qdisc_create and qdisc/qdisc_destroy: the request did what it asked for.
#[tracepoint]
fn tc_qdisc_changed(_ctx: TracePointContext) -> u32 {
    if let Some(record) = in_flight() {
        record.header.flags &= !flag::RET_UNKNOWN;
    }
    0
}

// sys_exit_sendmsg and sys_exit_sendto
#[tracepoint]
fn tc_sys_exit_send(ctx: TracePointContext) -> u32 {
    let Some(record) = in_flight() else {
        return 0;
    };
    // SAFETY: every sys_exit tracepoint carries its return value there.
    let sent = unsafe { ctx.read_at::<i64>(SYS_EXIT_RET) }.unwrap_or(0);
    if sent < 0 {
        record.ret = sent as i32;
        record.header.flags &= !flag::RET_UNKNOWN;
    }
    let ended = output::now();
    record.duration_ns = ended - record.header.ts_ns;
    record.header.ts_ns = ended;
    // Only refused requests come with a sentence.
    let ret = if record.message[0] == 0 { record.ret } else { -1 };
    let netns = record.header.netns;
    let (subject, class) = budget_of(record.nlmsg_type, &TcMsg::of(record), netns, ret);
    budget::emit::<TcRecord>(subject, class, |told| *told = *record);
    let _ = TC_SENDING.remove(output::thread_key());
    0
}
