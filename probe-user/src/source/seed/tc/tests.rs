use proptest::prelude::*;

use super::*;
use crate::{
    decode::{as_bytes, decode},
    event::Body,
    kernel::rtnetlink::{Messages, object},
    signals::tc::{TcChange, link::CLSACT},
};

fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let length = 16 + payload.len() as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(7u32.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(payload);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

fn filter(ifindex: i32, handle: u32, parent: u32, prio: u32, kind: &[u8], chain: u32) -> Vec<u8> {
    let mut payload = vec![0; 4];
    payload.extend(ifindex.to_ne_bytes());
    for word in [handle, parent, prio << 16 | 0x300] {
        payload.extend(word.to_ne_bytes());
    }
    payload.extend((4 + kind.len() as u16).to_ne_bytes());
    payload.extend(1u16.to_ne_bytes());
    payload.extend(kind);
    payload.resize(payload.len().next_multiple_of(4), 0);
    payload.extend([8u16, 11].map(u16::to_ne_bytes).concat());
    payload.extend(chain.to_ne_bytes());
    payload
}

#[test]
fn messages_and_their_objects_are_read() {
    let payload = filter(3, 1, INGRESS, 49_152, b"bpf\0", 5);
    let mut part = message(44, 2, &payload);
    part.extend(message(3, 2, &0i32.to_ne_bytes()));
    let messages: Vec<_> = Messages(&part).collect();
    assert_eq!(
        messages.iter().map(|m| (m.kind, m.sequence)).collect::<Vec<_>>(),
        [(44, 7), (3, 7)]
    );
    let object = object(messages[0].payload).unwrap();
    assert_eq!((object.ifindex, object.handle, object.parent), (3, 1, INGRESS));
    assert_eq!((object.info >> 16, object.chain), (49_152, 5));
    assert!(object.is("bpf") && !object.is("bp"));
}

#[test]
fn what_is_cut_off_is_left_out() {
    let payload = filter(3, 1, INGRESS, 49_152, b"bpf\0", 0);
    let part = message(44, 2, &payload);
    assert_eq!(Messages(&part[..part.len() - 1]).count(), 0);
    assert!(object(&payload[..19]).is_none());
    let mut endless = payload.clone();
    endless[20] = 0;
    assert_eq!(object(&endless).unwrap().kind, [0; 16], "an attribute of no length");
}

#[test]
fn records_decode_as_what_was_found() {
    let found = object(&filter(3, 2, EGRESS, 49_152, b"bpf\0", 0)).unwrap();
    let records = records((77, 5), 3, 1_000, 1_200, &[found]);
    let bodies: Vec<_> = records.iter().map(|record| decode(as_bytes(record)).unwrap()).collect();
    let requests: Vec<_> = bodies
        .iter()
        .map(|event| match &event.body {
            Body::Tc(TcChange::Seeded(request)) => request,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        requests.iter().map(|r| r.kind.as_deref()).collect::<Vec<_>>(),
        [Some("bpf"), Some("clsact")]
    );
    assert_eq!((requests[0].prio, requests[0].handle, requests[0].netns_cookie), (49_152, 2, 5));
    assert_eq!((requests[1].parent, requests[1].duration_ns), (CLSACT, Some(200)));
    assert_eq!(
        (bodies[0].context.at, bodies[0].context.netns, bodies[0].context.pid),
        (1_000, Some(77), 0)
    );
}

#[test]
fn this_namespace_can_be_dumped() {
    let mut rtnetlink = Rtnetlink::open().unwrap();
    rtnetlink.qdiscs(|_| {}).unwrap();
    assert!(rtnetlink.filters(i32::MAX, INGRESS, |_| panic!("nobody's filter")).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for message in Messages(&bytes) {
            let _ = object(message.payload);
        }
        let _ = object(&bytes);
    }

    #[test]
    fn any_attributes_are_taken(lengths in prop::collection::vec(0u16..40, 0..20)) {
        let mut payload = vec![0; 20];
        for length in lengths {
            payload.extend(length.to_ne_bytes());
            payload.extend(1u16.to_ne_bytes());
        }
        let _ = object(&payload);
    }
}
