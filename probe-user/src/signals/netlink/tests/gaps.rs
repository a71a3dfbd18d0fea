//! Records that were lost.

use probe_common::wire::signal;

use super::*;
use crate::event::{Gap, HeldSockets};

fn gap(signal: u32) -> [Body; 2] {
    [false, true].map(|passed| Body::Polled(Fact::Gap(Gap { signal, passed })))
}

fn held(ids: impl IntoIterator<Item = u64>) -> Body {
    let ids = ids.into_iter().collect();
    Body::Polled(Fact::HeldSockets(HeldSockets { whole: true, ids, unread: Vec::new() }))
}

#[test]
fn sockets_whose_close_was_lost_are_no_leak() {
    let mut bench = bench();
    (0..400).for_each(|id| drop(bench.at(SECOND, open(id))));
    gap(signal::NETLINK).into_iter().for_each(|body| drop(bench.at(2 * SECOND, body)));
    // Counted blindly, this crosses 512.
    for id in 400..600 {
        assert!(bench.at(3 * SECOND, open(id)).is_empty(), "{id}");
    }
    assert!(bench.tick(4 * SECOND).is_empty(), "nobody has looked yet");
    bench.at(4 * SECOND, held(400..600));
    assert!(bench.tick(5 * SECOND).is_empty());
    assert_eq!(bench.detector.tracked(), 200);
    // From here on all is known again.
    let raised: Vec<_> = (600..912).flat_map(|id| bench.at(6 * SECOND, open(id))).collect();
    assert_eq!(verdicts(&raised), [("netlink-leak", Severity::Critical)]);
    assert_eq!(evidence(&raised[0]).open, 512);
}

#[test]
fn sockets_whose_opening_was_lost_are_found() {
    let mut bench = bench();
    bench.at(SECOND, open(0));
    gap(signal::NETLINK).into_iter().for_each(|body| drop(bench.at(2 * SECOND, body)));
    for socket in 0..600 {
        bench.at(3 * SECOND, Body::Netlink(NetlinkChange::Seeded { socket, protocol: 0 }));
    }
    bench.at(3 * SECOND, held(0..600));
    let raised = bench.tick(4 * SECOND);
    let evidence = evidence(&raised[0]);
    assert_eq!((evidence.open, evidence.seeded, evidence.opened_total), (600, 0, 600));
    let reasons: Vec<_> = evidence.birthplaces.iter().map(|place| &place.unreadable).collect();
    assert_eq!(reasons[0].as_deref(), Some("the record of the opening was lost"));
}

#[test]
fn what_opened_after_the_look_stays() {
    let mut bench = bench();
    bench.at(SECOND, open(1));
    bench.at(3 * SECOND, open(2));
    bench.at(2 * SECOND, held([]));
    assert_eq!(bench.detector.tracked(), 1);
}

#[test]
fn gaps_of_other_signals_and_looks_that_fail_change_nothing() {
    let mut bench = bench();
    gap(signal::TC).into_iter().for_each(|body| drop(bench.at(SECOND, body)));
    let raised: Vec<_> = (0..600).flat_map(|id| bench.at(SECOND, open(id))).collect();
    assert_eq!(raised.len(), 1);
    gap(signal::NETLINK).into_iter().for_each(|body| drop(bench.at(2 * SECOND, body)));
    bench.at(2 * SECOND, Body::Polled(Fact::HeldSockets(HeldSockets::default())));
    assert_eq!(bench.tick(3 * SECOND).len(), 1, "/proc says nothing: what is known is told");
}
