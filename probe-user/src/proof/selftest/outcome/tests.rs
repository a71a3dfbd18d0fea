use super::*;
use crate::proof::selftest::{acts::ActError, trial::TRIALS};

const SECOND: u64 = 1_000_000_000;

/// The whole way, in a millisecond.
fn whole() -> Trace {
    Trace {
        acted: Some(Ok(10 * SECOND)),
        counted: Counted { seen: 5, ..Counted::default() },
        records: 5,
        decoded: 5,
        raised: true,
        arrived: Some(10 * SECOND + 1_000_000),
        ..Trace::default()
    }
}

#[track_caller]
fn breaks(trace: Trace, at: Link, says: &str) {
    let broke = broken(&TRIALS[0], Rung::Kprobe, trace, Span::seconds(2));
    let (link, why) = broke.expect("it broke");
    assert!(link == at && why.contains(says), "{link:?}: {why}");
}

#[test]
fn what_arrives_in_time_held() {
    assert!(broken(&TRIALS[0], Rung::Fexit, whole(), Span::seconds(2)).is_none());
    assert_eq!(Link::before(None).len(), 7);
}

#[test]
fn the_first_broken_link_is_named_with_what_to_do() {
    let quiet = || Trace { arrived: None, raised: false, ..whole() };
    let blind = Trace { counted: Counted::default(), records: 0, decoded: 0, ..quiet() };
    breaks(blind, Link::Seen, "kprobe rung, but did not fire");
    breaks(Trace { records: 0, decoded: 0, ..quiet() }, Link::Delivered, "none of the act's own");
    let mut counted = Counted { seen: 5, ..Counted::default() };
    counted.lost[0] = ("ring_full", 3);
    breaks(Trace { counted, records: 0, ..quiet() }, Link::Delivered, "ring_full 3");
    let error = Some(DecodeError::UnknownKind(7));
    breaks(Trace { decoded: 0, undecoded: error, ..quiet() }, Link::Decoded, "0x0007");
    breaks(quiet(), Link::Raised, "tc-handle-toggle did not hold");
    breaks(Trace { raised: true, ..quiet() }, Link::Sink, "did not come");
    breaks(Trace { arrived: Some(13 * SECOND), ..whole() }, Link::Sink, "after 3000 ms");
}

#[test]
fn an_act_that_cannot_be_done_proves_nothing() {
    let trace = Trace { acted: Some(Err(ActError::NoCgroups)), ..whole() };
    breaks(trace, Link::Act, "mount the node's");
    breaks(Trace { acted: None, ..whole() }, Link::Act, "stuck");
    assert_eq!(Link::before(Some(Link::Act)), [Link::Hook]);
}
