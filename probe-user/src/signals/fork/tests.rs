use super::*;
use crate::{
    enrich::subject::PidsLimit,
    signals::testing::{Bench, SECOND, comm, verdicts},
};

fn bench() -> Bench {
    let mut bench = Bench::new(Box::new(ForkDetector::new(&ForkConfig::default())));
    bench.context.comm = comm("worker");
    bench
}

fn failed(errno: i32) -> Body {
    Body::Fork(ForkFailure { errno, flags: None })
}

fn evidence(condition: &Condition) -> &ForkEvidence {
    match &condition.evidence {
        Evidence::Fork(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn five_failures_in_ten_seconds_warn_once() {
    let mut bench = bench();
    for n in 0..4 {
        assert!(bench.at(n * SECOND, failed(libc::EAGAIN)).is_empty());
    }
    let raised = bench.at(4 * SECOND, failed(libc::EAGAIN));
    assert_eq!(verdicts(&raised), [("fork-failures", Severity::Warning)]);
    assert_eq!(evidence(&raised[0]).failures, 5);
    assert_eq!(evidence(&raised[0]).errno, "EAGAIN");
    assert_eq!(evidence(&raised[0]).victims["worker"], 5);
    assert!(bench.at(5 * SECOND, failed(libc::EAGAIN)).is_empty());
    assert_eq!(bench.tick(6 * SECOND).len(), 1);
    assert!(bench.tick(60 * SECOND).is_empty());
}

#[test]
fn four_failures_or_slow_ones_are_quiet() {
    let mut bench = bench();
    for n in 0..100 {
        assert!(bench.at(n * 3 * SECOND, failed(libc::EAGAIN)).is_empty());
        assert!(bench.tick(n * 3 * SECOND).is_empty());
    }
}

#[test]
fn other_errnos_are_not_exhaustion() {
    let mut bench = bench();
    for errno in [libc::EINVAL, libc::EPERM, libc::EINVAL, libc::EPERM, libc::EINVAL, libc::EPERM] {
        assert!(bench.at(SECOND, failed(errno)).is_empty());
    }
    assert_eq!(bench.detector.tracked(), 0);
    let raised: Vec<_> = (0..5).flat_map(|n| bench.at(n, failed(libc::ENOMEM))).collect();
    assert_eq!(evidence(&raised[0]).errno, "ENOMEM");
}

#[test]
fn the_first_failure_of_a_node_daemon_is_critical() {
    for name in ["kubelet", "calico-node", "containerd-shim"] {
        let mut bench = bench();
        bench.context.comm = comm(name);
        let raised = bench.at(SECOND, failed(libc::EAGAIN));
        assert_eq!(verdicts(&raised), [("fork-failures", Severity::Critical)], "{name}");
        assert!(evidence(&raised[0]).node_daemon);
    }
    let mut bench = bench();
    bench.context.comm = comm("kubelet2");
    assert!(bench.at(SECOND, failed(libc::EAGAIN)).is_empty());
}

#[test]
fn a_daemon_stays_the_named_victim_among_others() {
    let mut bench = bench();
    let worker = bench.context.comm;
    bench.context.comm = comm("kubelet");
    bench.at(SECOND, failed(libc::EAGAIN));
    bench.context.comm = worker;
    bench.at(SECOND + 1, failed(libc::EAGAIN));
    let held = bench.tick(2 * SECOND);
    assert_eq!(held[0].who.context.comm, comm("kubelet"));
    assert_eq!(held[0].severity, Severity::Critical);
}

#[test]
fn cgroups_are_judged_apart_and_bounded() {
    let mut bench = bench();
    for cgroup in 1..=10_000 {
        bench.context.cgroup = Some(cgroup);
        assert!(bench.at(cgroup, failed(libc::EAGAIN)).is_empty());
    }
    assert_eq!(bench.detector.tracked(), MOST_CGROUPS);
    assert_eq!(bench.detector.evicted() as usize, 10_000 - MOST_CGROUPS);
}

#[test]
fn victims_are_bounded() {
    let mut bench = bench();
    let mut raised = Vec::new();
    for n in 0..50 {
        bench.context.comm = comm(&format!("worker{n}"));
        raised.extend(bench.at(n, failed(libc::EAGAIN)));
    }
    let held = bench.tick(SECOND);
    assert_eq!(evidence(&held[0]).victims.len(), MOST_VICTIMS);
    assert_eq!(evidence(&held[0]).failures_total, 50);
}

#[test]
fn the_summary_names_victim_place_and_limit() {
    let mut bench = bench();
    let raised: Vec<_> = (0..5).flat_map(|n| bench.at(n, failed(libc::EAGAIN))).collect();
    let limit = PidsLimit { path: "/kubepods".into(), current: 65_535, max: 65_535 };
    let subject = Subject { pids_limit: Some(limit), ..Subject::default() };
    let summary = evidence(&raised[0]).summary(&subject);
    assert!(summary.contains("/kubepods has 65535 of 65535 tasks (inferred cause)"), "{summary}");
    assert!(summary.contains("5 clones were refused with EAGAIN in 10 s"), "{summary}");
}
