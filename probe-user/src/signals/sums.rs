//! Events told in sum count as many times, and come too late to undo what is known since.

use super::{
    fork::{self, Cause, ForkFailure},
    netlink::{self, NetlinkChange, birthplace::Birth},
    tc::{
        self, Answer, Operation, TcChange, TcRequest,
        evidence::TcEvidence,
        tests::{body, request},
    },
    testing::{Bench, SECOND, verdicts},
};
use crate::{
    config::Config,
    event::Body,
    findings::{Evidence, Severity},
};

fn bench(signal: &super::Signal) -> Bench {
    Bench::new((signal.detector)(&Config::default()))
}

fn refused() -> Body {
    Body::Fork(ForkFailure { errno: libc::EAGAIN, flags: None, cause: Cause::Unresolved })
}

#[test]
fn refused_clones_count_one_by_one() {
    let mut bench = bench(&fork::SIGNAL);
    (0..5).for_each(|_| drop(bench.at(SECOND, refused())));
    assert!(bench.sum(2 * SECOND, 99_995, refused()).is_empty(), "it was told already");
    let held = bench.tick(3 * SECOND);
    let Evidence::Fork(evidence) = &held[0].evidence else { panic!("{held:?}") };
    assert_eq!(evidence.failures_total, 100_000);
    assert_eq!(evidence.victims.values().sum::<u64>(), 100_000);
}

#[test]
fn a_sum_alone_fires() {
    let mut bench = bench(&fork::SIGNAL);
    assert!(bench.sum(SECOND, 4, refused()).is_empty());
    let raised = bench.sum(SECOND, 1, refused());
    assert_eq!(verdicts(&raised), [("fork-failures", Severity::Warning)]);
}

#[test]
fn sockets_that_passed_count_for_who_holds_others() {
    let mut bench = bench(&netlink::SIGNAL);
    let open = |socket| NetlinkChange::Opened { socket, protocol: 0, birth: Birth::Early };
    bench.sum(SECOND, 400, Body::Netlink(NetlinkChange::Churned { protocol: 0 }));
    (0..512).for_each(|socket| drop(bench.sum(SECOND, 1, Body::Netlink(open(socket)))));
    bench.sum(SECOND, 400, Body::Netlink(NetlinkChange::Churned { protocol: 0 }));
    let held = bench.tick(2 * SECOND);
    let Evidence::Netlink(evidence) = &held[0].evidence else { panic!("{held:?}") };
    assert_eq!((evidence.open, evidence.opened_total), (512, 512 + 200));
}

#[test]
fn writes_of_a_sum_are_writes() {
    let mut bench = bench(&tc::SIGNAL);
    let raised = bench.sum(SECOND, 5_000, body(request(Operation::Write, 1)));
    assert_eq!(verdicts(&raised), [("tc-rewrite-rate", Severity::Critical)]);
    let Evidence::Tc(TcEvidence::Rewrites(evidence)) = &raised[0].evidence else {
        panic!("{raised:?}")
    };
    assert_eq!((evidence.writes, evidence.writes_total), (120, 5_000));
}

#[test]
fn an_interface_that_went_stays_gone() {
    let mut bench = bench(&tc::SIGNAL);
    bench.at(2 * SECOND, Body::Tc(TcChange::LinkGone { ifindex: 3 }));
    assert!(bench.sum(SECOND, 5_000, body(request(Operation::Write, 1))).is_empty());
    assert_eq!(bench.detector.tracked(), 0);
    bench.at(3 * SECOND, body(request(Operation::Write, 1)));
    assert!(bench.detector.tracked() > 0, "its index is used again");
}

#[test]
fn refused_writes_of_before_an_accepted_one_are_not_counted_after_it() {
    let failing = || {
        let answer = Answer::Failed(libc::EEXIST);
        body(TcRequest { answer, ..request(Operation::Write, 1) })
    };
    let mut bench = bench(&tc::SIGNAL);
    bench.at(2 * SECOND, body(request(Operation::Write, 1)));
    assert!(bench.sum(SECOND, 500, failing()).is_empty());
    let raised = bench.sum(3 * SECOND, 500, failing());
    assert_eq!(verdicts(&raised), [("tc-attach-failing", Severity::Warning)]);
}
