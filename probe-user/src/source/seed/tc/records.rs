//! What a look found, told as wire records.

use probe_common::{
    bpf::ProgramRecord,
    tc::{IFNAME_LEN, TcRecord, rtm},
    wire::{Header, flag, kind},
};

use crate::{
    event::BootNs,
    kernel::rtnetlink::{Object, padded},
    signals::tc::link::CLSACT,
};

/// The requests that would make the clsact of an interface and its filters, as a look from one moment to
/// another saw them.
pub fn records(
    (netns, netns_cookie): (u32, u64),
    ifindex: i32,
    from: BootNs,
    until: BootNs,
    filters: &[Object],
) -> Vec<TcRecord> {
    let ifname = name(ifindex);
    let record = |nlmsg_type, object: &Object| TcRecord {
        header: Header {
            kind: kind::TC_REQUEST,
            len: size_of::<TcRecord>() as u16,
            flags: flag::SEEDED,
            ts_ns: from,
            netns,
            ..Header::default()
        },
        nlmsg_type,
        nlmsg_flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
        ret: 0,
        ifindex,
        parent: object.parent,
        handle: object.handle,
        info: object.info,
        netns_cookie,
        duration_ns: until.saturating_sub(from).max(1),
        started_ns: 0,
        parent_started_ns: 0,
        parent_tgid: 0,
        parent_comm: [0; _],
        ifname,
        kind: object.kind,
        message: [0; _],
        program: ProgramRecord::default(),
        source: [0; _],
    };
    let clsact = Object { parent: CLSACT, kind: padded(b"clsact"), ..Object::default() };
    let filters = filters.iter().map(|filter| record(rtm::NEWTFILTER, filter));
    filters.chain([record(rtm::NEWQDISC, &clsact)]).collect()
}

/// Name of an interface of this thread's namespace; empty when it is gone.
fn name(ifindex: i32) -> [u8; IFNAME_LEN] {
    let mut name = [0; IFNAME_LEN];
    let index = u32::try_from(ifindex).unwrap_or(0);
    // SAFETY: the array has the IF_NAMESIZE bytes that if_indextoname(3) may write.
    unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    name
}
