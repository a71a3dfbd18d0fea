//! Netlink sockets above a process's budget of records. One that closes soon leaves nothing but a
//! count; one that stays open is told when the agent takes it from here, and its close then is sent.

use aya_ebpf::{macros::map, maps::HashMap};
use probe_common::{
    budget::UNTOLD_SOCKETS,
    counter,
    netlink::{NetlinkRecord, SOCKET_BY_FD},
    wire::{kind, signal},
};

use crate::{
    budget::{self, Class, Keep, mix},
    output,
};

/// Sockets that were opened and that nobody was told of. No LRU: the agent would miss their close.
#[map]
static NETLINK_UNTOLD: HashMap<u64, NetlinkRecord> = HashMap::with_max_entries(UNTOLD_SOCKETS, 0);

/// Tells of a socket that the current process opened; `fill` writes what is known of it.
#[inline(always)]
pub fn opened(socket: u64, fill: impl Fn(&mut NetlinkRecord)) {
    // An fd is used again at once, and the close of the last socket behind it may have been unseen.
    if socket & SOCKET_BY_FD != 0
        && let Some(opened) = take(socket)
    {
        passed(&opened, 1);
    }
    let subject = mix(signal::NETLINK as u64, output::thread_key() >> 32);
    if budget::spend(subject).is_some() {
        let mut record = NetlinkRecord::default();
        output::stamp(&mut record, kind::NETLINK_OPEN);
        record.socket = socket;
        fill(&mut record);
        if NETLINK_UNTOLD.insert(socket, record, 0).is_ok() {
            suppressed();
            return;
        }
    }
    output::emit::<NetlinkRecord>(kind::NETLINK_OPEN, |record| {
        record.socket = socket;
        fill(record);
    });
}

/// Tells of a socket that is gone.
#[inline(always)]
pub fn closed(socket: u64) {
    match take(socket) {
        Some(opened) => passed(&opened, 2),
        None => output::emit::<NetlinkRecord>(kind::NETLINK_CLOSE, |record| record.socket = socket),
    }
}

/// Takes out a socket that nobody was told of.
#[inline(always)]
fn take(socket: u64) -> Option<NetlinkRecord> {
    // SAFETY: only the agent and the socket's end remove it; it is copied before.
    let opened = *unsafe { NETLINK_UNTOLD.get(socket) }?;
    // The agent may have told of it just now: then its close must be sent.
    NETLINK_UNTOLD.remove(socket).ok()?;
    Some(opened)
}

/// Counts the opening of a socket that came and went, and its close where that is the second event.
#[inline(always)]
fn passed(opened: &NetlinkRecord, events: u64) {
    let fill = |record: &mut NetlinkRecord| {
        *record = *opened;
        record.header.kind = kind::NETLINK_CHURN;
    };
    let digest = mix(opened.header.tgid as u64, opened.protocol as u64);
    let class = Class { kind: kind::NETLINK_CHURN, digest, keep: Keep::First };
    if budget::sum(class, budget::epoch(), events, fill) {
        if events > 1 {
            suppressed();
        }
        return;
    }
    output::emit::<NetlinkRecord>(kind::NETLINK_CHURN, |record| {
        fill(record);
        record.header.events = events as u32;
    });
}

#[inline(always)]
fn suppressed() {
    output::count(signal::NETLINK, counter::SEEN);
    output::count(signal::NETLINK, counter::SUPPRESSED);
}
