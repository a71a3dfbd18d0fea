use probe_common::{
    bpf::{NAME_LEN, ProgramRecord},
    fork::{ForkRecord, cause},
    netlink::{NO_STACK, NetlinkRecord},
    tc::{IFNAME_LEN, KIND_LEN, LinkGoneRecord, MESSAGE_LEN, SOURCE_LEN, TcRecord, rtm},
    wire::{COMM_LEN, Header, flag, kind},
};
use proptest::prelude::*;

use super::*;
use crate::{
    event::Body,
    signals::{
        fork::{Cause, ForkFailure},
        netlink::{NetlinkChange, birthplace::Birth},
        tc::{Answer, Operation, TcChange, TcRequest},
    },
};

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

fn header<T>(kind: u16) -> Header {
    Header {
        kind,
        len: size_of::<T>() as u16,
        ts_ns: 7,
        tgid: 40,
        pid: 41,
        cgroup_id: 9,
        netns: 4,
        comm: padded::<COMM_LEN>("tc"),
        ..Header::default()
    }
}

fn bytes<T: Plain>(record: &T) -> Vec<u8> {
    as_bytes(record).to_vec()
}

fn tc_record() -> TcRecord {
    TcRecord {
        header: header::<TcRecord>(kind::TC_REQUEST),
        nlmsg_type: rtm::NEWTFILTER,
        nlmsg_flags: 0x600,
        ret: -17,
        ifindex: 3,
        parent: 0xffff_fff2,
        handle: 1,
        info: 49_152 << 16 | 3,
        netns_cookie: 5,
        duration_ns: 1_000,
        started_ns: 20,
        parent_started_ns: 10,
        parent_tgid: 39,
        parent_comm: padded::<COMM_LEN>("calico-node"),
        ifname: padded::<IFNAME_LEN>("cali1"),
        kind: padded::<KIND_LEN>("bpf"),
        message: padded::<MESSAGE_LEN>("Filter already exists"),
        program: ProgramRecord { id: 12, tag: [0xab; 8], name: padded::<NAME_LEN>("pass") },
        source: padded::<SOURCE_LEN>("classifier.o:[classifier]"),
    }
}

fn request(record: &TcRecord) -> TcRequest {
    match decode(&bytes(record)).expect("decodes").body {
        Body::Tc(TcChange::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tc_request_keeps_every_field() {
    let event = decode(&bytes(&tc_record())).expect("decodes");
    let context = event.context;
    assert_eq!((context.at, context.pid, context.tid), (7, 40, 41));
    assert_eq!((context.cgroup, context.netns), (Some(9), Some(4)));
    assert_eq!(context.comm.text().as_deref(), Some("tc"));
    let request = request(&tc_record());
    assert_eq!(request.operation, Operation::Write);
    assert_eq!(request.answer, Answer::Failed(libc::EEXIST));
    assert_eq!((request.interface.index, request.interface.name.as_deref()), (3, Some("cali1")));
    assert_eq!((request.parent, request.prio, request.handle), (0xffff_fff2, 49_152, 1));
    assert_eq!(request.kind.as_deref(), Some("bpf"));
    assert_eq!(request.message.as_deref(), Some("Filter already exists"));
    assert_eq!((request.netns_cookie, request.duration_ns), (5, Some(1_000)));
    let program = request.bpf.program.expect("a program");
    assert_eq!((program.id, program.tag), (12, [0xab; 8]));
    assert_eq!(program.name.text().as_deref(), Some("pass"));
    assert_eq!(program.source.as_deref(), Some("classifier.o:[classifier]"));
    let (pid, comm) = request.started_by.expect("a parent");
    assert_eq!((pid, comm.text().as_deref()), (39, Some("calico-node")));
}

#[test]
fn answers_say_what_they_do_not_know() {
    let mut record = TcRecord { ret: 0, message: [0; MESSAGE_LEN], ..tc_record() };
    assert_eq!(request(&record).answer, Answer::Done);
    record.header.flags = flag::RET_UNKNOWN;
    assert_eq!(request(&record).answer, Answer::Unknown);
    record.message = padded("Exclusivity flag on, cannot modify");
    assert_eq!(request(&record).answer, Answer::Refused);
    record.header.flags = 0;
    record.ret = i32::MIN;
    assert_eq!(request(&record).answer, Answer::Failed(i32::MAX));
}

#[test]
fn the_other_kinds_decode() {
    let fork = ForkRecord {
        header: header::<ForkRecord>(kind::FORK_FAILED),
        clone_flags: 0x10_0000,
        ret: -11,
        cause: cause::PIDS_MAX,
        owner: 5,
        current: 100,
        limit: 100,
        uid: 0,
        owner_steps: 2,
        level: 0,
        _pad: 0,
    };
    let cause =
        Cause::PidsMax { owner: 5, owner_steps: 2, current: 100, limit: 100, owner_assumed: false };
    let failure = ForkFailure { errno: libc::EAGAIN, flags: Some(0x10_0000), cause };
    assert_eq!(decode(&bytes(&fork)).expect("decodes").body, Body::Fork(failure));

    let gone = LinkGoneRecord {
        header: header::<LinkGoneRecord>(kind::TC_LINK_GONE),
        ifindex: 3,
        _pad: 0,
    };
    let change = TcChange::LinkGone { ifindex: 3 };
    assert_eq!(decode(&bytes(&gone)).expect("decodes").body, Body::Tc(change));

    let birth = Birth::Noted { stack: Ok(3), caller: 9 };
    for (kind, change) in [
        (kind::NETLINK_OPEN, NetlinkChange::Opened { socket: 77, protocol: 16, birth }),
        (kind::NETLINK_CLOSE, NetlinkChange::Closed { socket: 77 }),
        (kind::NETLINK_OWNER_EXIT, NetlinkChange::OwnerExited),
    ] {
        let header = header::<NetlinkRecord>(kind);
        let record = NetlinkRecord { header, socket: 77, caller: 9, protocol: 16, stack: 3 };
        assert_eq!(decode(&bytes(&record)).expect("decodes").body, Body::Netlink(change));
    }
    for (stack, birth) in [
        (NO_STACK, Birth::Early),
        (-libc::EEXIST, Birth::Noted { stack: Err(-libc::EEXIST), caller: 0 }),
    ] {
        let header = header::<NetlinkRecord>(kind::NETLINK_OPEN);
        let record = NetlinkRecord { header, stack, ..NetlinkRecord::default() };
        let change = NetlinkChange::Opened { socket: 0, protocol: 0, birth };
        assert_eq!(decode(&bytes(&record)).expect("decodes").body, Body::Netlink(change));
    }
    let header = Header { flags: flag::SEEDED, ..header::<NetlinkRecord>(kind::NETLINK_OPEN) };
    let record = NetlinkRecord { header, socket: 77, caller: 9, protocol: 16, stack: 3 };
    let change = NetlinkChange::Seeded { socket: 77, protocol: 16 };
    assert_eq!(decode(&bytes(&record)).expect("decodes").body, Body::Netlink(change));
}

#[test]
fn malformed_records_are_typed_errors() {
    let good = bytes(&tc_record());
    assert!(matches!(decode(&[]), Err(DecodeError::Truncated { have: 0, .. })));
    assert!(matches!(decode(&good[..55]), Err(DecodeError::Truncated { have: 55, need: 56, .. })));
    assert_eq!(
        decode(&good[..100]),
        Err(DecodeError::LengthMismatch { says: size_of::<TcRecord>(), have: 100 })
    );

    let mut short = good[..100].to_vec();
    short[2..4].copy_from_slice(&100u16.to_ne_bytes());
    let error = decode(&short).expect_err("too short for its kind");
    assert_eq!(
        error,
        DecodeError::Truncated { kind: kind::TC_REQUEST, have: 100, need: size_of::<TcRecord>() }
    );

    let mut unknown = good.clone();
    unknown[..2].copy_from_slice(&0x7f01u16.to_ne_bytes());
    assert_eq!(decode(&unknown), Err(DecodeError::UnknownKind(0x7f01)));

    let longer: Vec<u8> = good.iter().copied().chain([0xff; 32]).collect();
    assert_eq!(decode(&longer), decode(&good), "a newer object may append fields");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    /// Known kinds with any content, at any alignment.
    #[test]
    fn no_content_makes_it_panic(
        kind in prop::sample::select(vec![
            kind::TC_REQUEST, kind::TC_LINK_GONE, kind::FORK_FAILED,
            kind::NETLINK_OPEN, kind::NETLINK_CLOSE, kind::NETLINK_OWNER_EXIT,
            kind::RTNL_WAIT, kind::RTNL_SHORT,
        ]),
        content in prop::collection::vec(any::<u8>(), 60..300),
        shift in 0usize..8,
    ) {
        let mut shifted = vec![0; shift];
        shifted.extend(kind.to_ne_bytes());
        shifted.extend((content.len() as u16).to_ne_bytes());
        shifted.extend(&content[4..]);
        match decode(&shifted[shift..]) {
            Ok(_) | Err(DecodeError::Truncated { .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
