//! tc: programs attached by TCX, netkit and XDP, which are bpf(2) commands and no tc requests.
//!
//! An interface that goes takes its programs with it without any of these functions, so it cannot
//! look like a detach.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map},
    maps::LruHashMap,
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use probe_common::{
    bpf::TcBpfRecord,
    counter, field as f,
    wire::{kind, signal},
};

use crate::{
    globals::offset,
    kernel::{bpf, copy_str, net, read_at, task},
    output,
};

mod change;

use change::{Change, LinkKind};

/// Changes that may be in progress at once: they wait for RTNL.
const IN_FLIGHT: u32 = 256;
#[map]
static TC_BPF_IN_FLIGHT: LruHashMap<u64, Change> = LruHashMap::with_max_entries(IN_FLIGHT, 0);

/// Sends a change that was answered; `None` when its arguments cannot be read.
#[inline(always)]
fn answered(change: Option<Change>, ret: i32) {
    match change {
        Some(change) => send(&change, ret),
        None => lost(counter::LOST_UNREADABLE),
    }
}

/// Sends a change of a link, unless its interface is gone: nothing changes there any more.
#[inline(always)]
fn link_changed(change: Option<Change>, ret: i32) -> i32 {
    if let Some(change) = change {
        send(&change, ret);
    }
    0
}

#[inline(always)]
fn lost(reason: u32) {
    output::count(signal::TC, counter::SEEN);
    output::count(signal::TC, reason);
}

#[inline(always)]
fn send(change: &Change, ret: i32) {
    output::emit::<TcBpfRecord>(kind::TC_BPF_ATTACH, |record| {
        record.operation = change.operation;
        record.point = change.point;
        record.ret = ret;
        record.ifindex = change.ifindex;
        record.replaced_id = change.replaced_id;
        let mut net = task::net().unwrap_or(0);
        if change.device == 0 {
            let _ = net::ifname(&mut record.ifname, net, change.ifindex);
        } else if let Some((ifindex, of_device)) = net::of_device(change.device) {
            (record.ifindex, net) = (ifindex, of_device);
            if let Some(name) = offset(f::NET_DEVICE_NAME) {
                copy_str(&mut record.ifname, change.device + name);
            }
        }
        record.header.netns = net::inum(net);
        record.netns_cookie = net::cookie(net);
        bpf::describe(&mut record.program, change.program);
        let made =
            if change.makes_link != 0 && ret >= 0 { bpf::object_of_fd(ret as u32) } else { None };
        record.link_id = bpf::link_id(made.unwrap_or(change.link));
        let text = offset(f::EXT_ACK_MESSAGE)
            .and_then(|offset| read_at::<u64>(change.ext_ack + offset))
            .unwrap_or(0);
        if change.ext_ack != 0 && text != 0 {
            copy_str(&mut record.message, text);
        }
        record.by_kernel = task::is_kernel_thread() as u32;
        output::copy_comm(&mut record.header);
        let _ = task::copy_parent(&mut record.parent_tgid, &mut record.parent_comm);
    });
}

/// Keeps a change until it is answered (kprobe rung: arguments are gone at return).
#[inline(always)]
fn asked(change: Option<Change>) -> u32 {
    match change {
        Some(change) => keep(change),
        None => lost(counter::LOST_UNREADABLE),
    }
    0
}

#[inline(always)]
fn keep(change: Change) {
    if TC_BPF_IN_FLIGHT.insert(output::thread_key(), change, 0).is_err() {
        lost(counter::LOST_STASH_FULL);
    }
}

/// [`asked`] of a link, unless its interface is gone.
#[inline(always)]
fn link_asked(change: Option<Change>) -> u32 {
    if let Some(change) = change {
        keep(change);
    }
    0
}

#[inline(always)]
fn returned(ctx: &RetProbeContext) -> u32 {
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let Some(change) = (unsafe { TC_BPF_IN_FLIGHT.get(key) }).copied() else {
        return 0;
    };
    let _ = TC_BPF_IN_FLIGHT.remove(key);
    send(&change, ctx.ret());
    0
}

#[fexit]
fn tcx_prog_attach_fexit(ctx: FExitContext) -> i32 {
    answered(Change::prog_attach(ctx.arg(0), ctx.arg(1)), ctx.arg(2));
    0
}

#[fexit]
fn tcx_prog_detach_fexit(ctx: FExitContext) -> i32 {
    answered(Change::prog_detach(ctx.arg(0), ctx.arg(1)), ctx.arg(2));
    0
}

#[fexit]
fn tcx_link_attach_fexit(ctx: FExitContext) -> i32 {
    answered(Change::link_attach(ctx.arg(0), ctx.arg(1)), ctx.arg(2));
    0
}

// static int tcx_link_update(struct bpf_link *link, struct bpf_prog *nprog, struct bpf_prog *oprog)
#[fexit]
fn tcx_link_update_fexit(ctx: FExitContext) -> i32 {
    link_changed(Change::update(ctx.arg(0), ctx.arg(1), LinkKind::TCX), ctx.arg(3))
}

// static void tcx_link_release(struct bpf_link *link)
#[fentry]
fn tcx_link_release_fentry(ctx: FEntryContext) -> i32 {
    link_changed(Change::release(ctx.arg(0), LinkKind::TCX), 0)
}

#[fexit]
fn netkit_prog_attach_fexit(ctx: FExitContext) -> i32 {
    answered(Change::prog_attach(ctx.arg(0), ctx.arg(1)), ctx.arg(2));
    0
}

#[fexit]
fn netkit_prog_detach_fexit(ctx: FExitContext) -> i32 {
    answered(Change::prog_detach(ctx.arg(0), ctx.arg(1)), ctx.arg(2));
    0
}

#[fexit]
fn netkit_link_attach_fexit(ctx: FExitContext) -> i32 {
    answered(Change::link_attach(ctx.arg(0), ctx.arg(1)), ctx.arg(2));
    0
}

#[fexit]
fn netkit_link_update_fexit(ctx: FExitContext) -> i32 {
    link_changed(Change::update(ctx.arg(0), ctx.arg(1), LinkKind::NETKIT), ctx.arg(3))
}

#[fentry]
fn netkit_link_release_fentry(ctx: FEntryContext) -> i32 {
    link_changed(Change::release(ctx.arg(0), LinkKind::NETKIT), 0)
}

#[fexit]
fn xdp_attach_fexit(ctx: FExitContext) -> i32 {
    answered(Some(Change::xdp(ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3))), ctx.arg(6));
    0
}

// static int bpf_xdp_link_update(struct bpf_link *, struct bpf_prog *new_prog, struct bpf_prog *old_prog)
#[fexit]
fn xdp_link_update_fexit(ctx: FExitContext) -> i32 {
    link_changed(Change::update(ctx.arg(0), ctx.arg(1), LinkKind::XDP), ctx.arg(3))
}

// static void bpf_xdp_link_release(struct bpf_link *link)
#[fentry]
fn xdp_link_release_fentry(ctx: FEntryContext) -> i32 {
    link_changed(Change::release(ctx.arg(0), LinkKind::XDP), 0)
}

#[inline(always)]
fn arg(ctx: &ProbeContext, n: usize) -> u64 {
    ctx.arg(n).unwrap_or(0)
}

#[kprobe]
fn tcx_prog_attach_kprobe(ctx: ProbeContext) -> u32 {
    asked(Change::prog_attach(arg(&ctx, 0), arg(&ctx, 1)))
}

#[kprobe]
fn tcx_prog_detach_kprobe(ctx: ProbeContext) -> u32 {
    asked(Change::prog_detach(arg(&ctx, 0), arg(&ctx, 1)))
}

#[kprobe]
fn tcx_link_attach_kprobe(ctx: ProbeContext) -> u32 {
    asked(Change::link_attach(arg(&ctx, 0), arg(&ctx, 1)))
}

#[kprobe]
fn tcx_link_update_kprobe(ctx: ProbeContext) -> u32 {
    link_asked(Change::update(arg(&ctx, 0), arg(&ctx, 1), LinkKind::TCX))
}

#[kprobe]
fn netkit_link_update_kprobe(ctx: ProbeContext) -> u32 {
    link_asked(Change::update(arg(&ctx, 0), arg(&ctx, 1), LinkKind::NETKIT))
}

#[kretprobe]
fn tcx_kretprobe(ctx: RetProbeContext) -> u32 {
    returned(&ctx)
}

#[kprobe]
fn tcx_link_release_kprobe(ctx: ProbeContext) -> u32 {
    link_changed(Change::release(arg(&ctx, 0), LinkKind::TCX), 0) as u32
}

#[kprobe]
fn netkit_link_release_kprobe(ctx: ProbeContext) -> u32 {
    link_changed(Change::release(arg(&ctx, 0), LinkKind::NETKIT), 0) as u32
}

#[kprobe]
fn xdp_attach_kprobe(ctx: ProbeContext) -> u32 {
    asked(Some(Change::xdp(arg(&ctx, 0), arg(&ctx, 1), arg(&ctx, 2), arg(&ctx, 3))))
}

#[kprobe]
fn xdp_link_update_kprobe(ctx: ProbeContext) -> u32 {
    link_asked(Change::update(arg(&ctx, 0), arg(&ctx, 1), LinkKind::XDP))
}

#[kretprobe]
fn xdp_kretprobe(ctx: RetProbeContext) -> u32 {
    returned(&ctx)
}

#[kprobe]
fn xdp_link_release_kprobe(ctx: ProbeContext) -> u32 {
    link_changed(Change::release(arg(&ctx, 0), LinkKind::XDP), 0) as u32
}
