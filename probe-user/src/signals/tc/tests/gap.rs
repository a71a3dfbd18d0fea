//! Requests whose records were lost.

use probe_common::wire::signal;

use super::*;
use crate::{
    event::{Fact, Gap},
    signals::tc::link::CLSACT,
};

fn gap(passed: bool) -> Body {
    Body::Polled(Fact::Gap(Gap { signal: signal::TC, passed }))
}

fn by(bench: &mut Bench, second: u64, name: &str, request: TcRequest) -> Vec<Condition> {
    let started_by = Some((second as u32 + 100, comm(name)));
    bench.at(second * SECOND, body(TcRequest { started_by, ..request }))
}

fn clsact(operation: Operation) -> TcRequest {
    let exclusive = operation == Operation::Write;
    TcRequest { object: Object::Qdisc, parent: CLSACT, prio: 0, exclusive, ..request(operation, 0) }
}

#[test]
fn whose_a_filter_is_is_not_known_any_more() {
    let mut bench = bench();
    assert!(by(&mut bench, 1, "x-agent", clsact(Operation::Write)).is_empty());
    bench.at(2 * SECOND, gap(false));
    // Lost: x-agent takes its own away, y-agent attaches.
    bench.at(3 * SECOND, gap(true));
    assert!(by(&mut bench, 4, "y-agent", clsact(Operation::Delete)).is_empty());
    by(&mut bench, 5, "x-agent", clsact(Operation::Write));
    let raised = by(&mut bench, 6, "y-agent", clsact(Operation::Delete));
    assert_eq!(verdicts(&raised), [("tc-foreign-removal", Severity::Warning)], "known again");
}

#[test]
fn amid_a_gap_each_request_says_only_what_it_says_alone() {
    let mut bench = bench();
    bench.at(SECOND, gap(false));
    by(&mut bench, 2, "x-agent", clsact(Operation::Write));
    assert!(by(&mut bench, 3, "y-agent", clsact(Operation::Delete)).is_empty());
    let raised: Vec<_> = (4..8).flat_map(|n| bench.at(n * SECOND, write())).collect();
    assert_eq!(verdicts(&raised), [("tc-rewrite-rate", Severity::Warning)]);
}

#[test]
fn filters_that_may_be_gone_do_not_pile_up() {
    let mut bench = bench();
    let mut pile_up = |seconds: std::ops::Range<u64>| {
        let one = |n| TcRequest { prio: 0, ..request(Operation::Write, n as u32) };
        let raised = seconds.flat_map(|n| bench.at(n * SECOND, body(one(n)))).collect::<Vec<_>>();
        bench.at(10 * SECOND, gap(false));
        bench.at(10 * SECOND, gap(true));
        verdicts(&raised)
    };
    assert_eq!(pile_up(1..4), []);
    assert_eq!(pile_up(11..14), []);
    assert_eq!(pile_up(15..19), [("tc-prio-leak", Severity::Warning)]);
}
