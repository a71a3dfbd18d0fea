//! tc: requests that change a qdisc or a filter, with the kernel's answer.
//!
//! The hook is `rtnetlink_rcv_msg` and not the handler of each operation: it has one signature on
//! every kernel from 5.10 on, sees failures that come before a handler, and sees requests only. The
//! removal of an interface destroys its qdiscs without any request, so it cannot look like a
//! detach. The handlers are hooked only for the time they take.

use aya_ebpf::{
    EbpfContext,
    macros::{fentry, fexit, kprobe, kretprobe, map},
    maps::LruHashMap,
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use aya_log_ebpf::info;
use probe_common::{
    counter, field,
    tc::{LinkGoneRecord, TcRecord, rtm},
    wire::{kind, signal},
};

use crate::{
    budget::{self, Class, Keep, mix},
    globals::offset,
    kernel::{copy_str, net, read_at, task},
    output,
    tc_attributes::{self, Kernel},
};

/// Requests that may be in progress at once: all but a few wait for RTNL.
const IN_FLIGHT: u32 = 1024;

/// `struct nlmsghdr` of `include/uapi/linux/netlink.h`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct NlMsg {
    pub len: u32,
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    pub pid: u32,
}

/// `struct tcmsg` of `include/uapi/linux/rtnetlink.h`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct TcMsg {
    family: u8,
    pad1: u8,
    pad2: u16,
    pub ifindex: i32,
    pub handle: u32,
    pub parent: u32,
    pub info: u32,
}

impl TcMsg {
    /// What a record says of it.
    #[inline(always)]
    pub fn of(record: &TcRecord) -> Self {
        let TcRecord { ifindex, handle, parent, info, .. } = *record;
        Self { family: 0, pad1: 0, pad2: 0, ifindex, handle, parent, info }
    }
}

/// A whole request up to its attributes.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct TcRequest {
    pub nl: NlMsg,
    pub tc: TcMsg,
}

/// A request that has not been answered (kprobe rung: arguments are gone at return).
#[derive(Clone, Copy)]
#[repr(C)]
struct InFlight {
    skb: u64,
    nlmsg: u64,
    ext_ack: u64,
    started: u64,
}

#[map]
static TC_IN_FLIGHT: LruHashMap<u64, InFlight> = LruHashMap::with_max_entries(IN_FLIGHT, 0);

/// When the handler of a thread's request began (ns).
#[map]
static TC_STARTED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(IN_FLIGHT, 0);

/// Whether a message type changes tc state.
#[inline(always)]
pub fn is_tc_write(nlmsg_type: u16) -> bool {
    matches!(nlmsg_type, rtm::NEWQDISC | rtm::DELQDISC | rtm::NEWTFILTER | rtm::DELTFILTER)
}

// int rtnetlink_rcv_msg(struct sk_buff *skb, struct nlmsghdr *nlh, struct netlink_ext_ack *extack)
#[fexit]
fn tc_fexit(ctx: FExitContext) -> i32 {
    let nlmsg: *const NlMsg = ctx.arg(1);
    // SAFETY: a BTF pointer the verifier lets us follow; a plain load is what keeps getlink cheap.
    if !is_tc_write(unsafe { (*nlmsg).kind }) {
        return 0;
    }
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let started = unsafe { TC_STARTED.get(key) }.copied().unwrap_or(0);
    let _ = TC_STARTED.remove(key);
    let request = InFlight { skb: ctx.arg(0), nlmsg: ctx.arg(1), ext_ack: ctx.arg(2), started };
    answered(&ctx, &request, ctx.arg(3));
    0
}

#[inline(always)]
fn handler_started() -> i32 {
    let _ = TC_STARTED.insert(output::thread_key(), output::now(), 0);
    0
}

// static int tc_modify_qdisc(struct sk_buff *, struct nlmsghdr *, struct netlink_ext_ack *)
#[fentry]
fn tc_start_modify_qdisc(_ctx: FEntryContext) -> i32 {
    handler_started()
}

// static int tc_get_qdisc(...): RTM_DELQDISC too
#[fentry]
fn tc_start_get_qdisc(_ctx: FEntryContext) -> i32 {
    handler_started()
}

// static int tc_new_tfilter(...)
#[fentry]
fn tc_start_new_tfilter(_ctx: FEntryContext) -> i32 {
    handler_started()
}

// static int tc_del_tfilter(...)
#[fentry]
fn tc_start_del_tfilter(_ctx: FEntryContext) -> i32 {
    handler_started()
}

#[kprobe]
fn tc_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(skb), Some(nlmsg), Some(ext_ack)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2)) else {
        return 0;
    };
    if read_at::<NlMsg>(nlmsg).is_none_or(|message| !is_tc_write(message.kind)) {
        return 0;
    }
    let request = InFlight { skb, nlmsg, ext_ack, started: output::now() };
    if TC_IN_FLIGHT.insert(output::thread_key(), request, 0).is_err() {
        output::count(signal::TC, counter::SEEN);
        output::count(signal::TC, counter::LOST_STASH_FULL);
    }
    0
}

#[kretprobe]
fn tc_kretprobe(ctx: RetProbeContext) -> u32 {
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let Some(request) = (unsafe { TC_IN_FLIGHT.get(key) }).copied() else {
        return 0;
    };
    let _ = TC_IN_FLIGHT.remove(key);
    answered(&ctx, &request, ctx.ret());
    0
}

// void dev_shutdown(struct net_device *dev): every removal of an interface passes it, explicit or
// with its namespace, and it fires on all kernels.
#[fentry]
fn tc_link_gone_fentry(ctx: FEntryContext) -> i32 {
    link_gone(ctx.arg(0));
    0
}

#[kprobe]
fn tc_link_gone_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(device) = ctx.arg(0) {
        link_gone(device);
    }
    0
}

#[inline(always)]
fn link_gone(device: u64) {
    let Some((ifindex, net)) = net::of_device(device) else {
        output::count(signal::TC, counter::SEEN);
        output::count(signal::TC, counter::LOST_UNREADABLE);
        return;
    };
    output::emit::<LinkGoneRecord>(kind::TC_LINK_GONE, |record| {
        record.ifindex = ifindex;
        record.header.netns = net::inum(net);
    });
}

#[inline(always)]
fn answered<C: EbpfContext>(ctx: &C, request: &InFlight, ret: i32) {
    let Some(message) = read_at::<TcRequest>(request.nlmsg) else {
        output::count(signal::TC, counter::SEEN);
        output::count(signal::TC, counter::LOST_UNREADABLE);
        return;
    };
    let net = net::of_skb(request.skb);
    let (subject, class) = budget_of(message.nl.kind, &message.tc, net.map_or(0, net::inum), ret);
    budget::emit::<TcRecord>(subject, class, |record| {
        record.ret = ret;
        fill(record, &message, net);
        tc_attributes::copy::<Kernel>(record, request.nlmsg, &message.nl);
        if request.started != 0 {
            record.duration_ns = record.header.ts_ns - request.started;
        }
        let text = offset(field::EXT_ACK_MESSAGE)
            .and_then(|offset| read_at::<u64>(request.ext_ack + offset))
            .unwrap_or(0);
        if text != 0 {
            copy_str(&mut record.message, text);
        }
    });
    info!(
        ctx,
        "tc request type {} if {} handle {} ret {}",
        message.nl.kind,
        message.tc.ifindex,
        message.tc.handle,
        ret
    );
}

/// Who pays for a request's record, a priority of an attach point, and what it has in common with others.
#[inline(always)]
pub fn budget_of(nlmsg_type: u16, tc: &TcMsg, netns: u32, ret: i32) -> (u64, Class) {
    let TcMsg { ifindex, parent, info, handle, .. } = *tc;
    let place = mix(signal::TC as u64, (netns as u64) << 32 | ifindex as u32 as u64);
    let subject = mix(place, (parent as u64) << 32 | (info >> 16) as u64);
    // With the handle: what is there in the end follows from the last request about each one.
    let what = mix(subject, (nlmsg_type as u64) << 32 | ret as u32 as u64);
    let (digest, keep) = (mix(what, handle as u64), if ret < 0 { Keep::First } else { Keep::Last });
    (subject, Class { kind: kind::TC_REQUEST, digest, keep })
}

/// Writes what a request says of itself, who sent it and which interface it names.
#[inline(always)]
pub fn fill(record: &mut TcRecord, message: &TcRequest, net: Option<u64>) {
    record.nlmsg_type = message.nl.kind;
    record.nlmsg_flags = message.nl.flags;
    record.ifindex = message.tc.ifindex;
    record.parent = message.tc.parent;
    record.handle = message.tc.handle;
    record.info = message.tc.info;
    if let Some(net) = net {
        record.header.netns = net::inum(net);
        record.netns_cookie = net::cookie(net);
        let _ = net::ifname(&mut record.ifname, net, message.tc.ifindex);
    }
    output::copy_comm(&mut record.header);
    task::copy_starters(record);
}
