use super::{
    detect::{ForkDetector, MOST_CGROUPS, MOST_VICTIMS},
    *,
};
use crate::{
    config::fork::ForkConfig,
    enrich::subject::{Cgroup, NodeLimit, Subject},
    findings::{Condition, Evidence, Severity},
    signals::testing::{Bench, SECOND, comm, verdicts},
};

fn bench() -> Bench {
    let mut bench = Bench::new(Box::new(ForkDetector::new(&ForkConfig::default())));
    bench.context.comm = comm("worker");
    bench
}

fn failed(errno: i32) -> Body {
    Body::Fork(ForkFailure { errno, flags: None, cause: Cause::Unresolved })
}

fn pids_max(owner_steps: u32, limit: u64) -> Body {
    let cause =
        Cause::PidsMax { owner: 5, owner_steps, current: limit, limit, owner_assumed: false };
    Body::Fork(ForkFailure { errno: libc::EAGAIN, flags: None, cause })
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
fn a_daemon_that_starts_something_in_a_full_pod_lacks_nothing() {
    for (steps, limit, severity) in [(0, 100, Severity::Info), (2, 65_535, Severity::Critical)] {
        let mut bench = bench();
        bench.context.comm = comm("runc");
        let Body::Fork(failure) = pids_max(steps, limit) else { unreachable!() };
        let into = ForkFailure { flags: Some(CLONE_INTO_CGROUP), ..failure };
        let raised: Vec<_> = (0..5).flat_map(|n| bench.at(n, Body::Fork(into))).collect();
        assert_eq!(verdicts(&raised), [("fork-failures", severity)]);
        assert!(evidence(&raised[0]).into_cgroup);
        assert!(evidence(&raised[0]).summary(&Subject::default()).contains("cannot fork into"));
    }
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
fn a_leaf_at_its_own_small_limit_is_its_own_affair() {
    for (steps, limit, severity) in [
        (0, 100, Severity::Info),
        (1, 4_096, Severity::Info),
        (1, 4_097, Severity::Warning),
        (2, 100, Severity::Warning),
        (0, 65_535, Severity::Warning),
    ] {
        let mut bench = bench();
        let raised: Vec<_> = (0..5).flat_map(|n| bench.at(n, pids_max(steps, limit))).collect();
        assert_eq!(verdicts(&raised), [("fork-failures", severity)], "{steps} {limit}");
        bench.context.comm = comm("kubelet");
        let worse = bench.at(6, pids_max(steps, limit));
        assert_eq!(verdicts(&worse), [("fork-failures", Severity::Critical)]);
        assert_eq!(worse[0].who.context.comm, comm("kubelet"));
    }
}

#[test]
fn the_first_cause_that_is_known_stays() {
    let mut bench = bench();
    let mut raised: Vec<_> = (0..5).flat_map(|n| bench.at(n, failed(libc::EAGAIN))).collect();
    assert_eq!(evidence(&raised[0]).cause, Cause::Unresolved);
    bench.at(6, pids_max(2, 65_535));
    bench.at(7, pids_max(0, 9));
    raised = bench.tick(SECOND);
    assert!(matches!(evidence(&raised[0]).cause, Cause::PidsMax { owner_steps: 2, .. }));
    assert_eq!(raised[0].who.limit_owner, Some(5));
}

#[test]
fn the_summary_names_victim_place_and_cause() {
    let mut bench = bench();
    let raised: Vec<_> = (0..5).flat_map(|n| bench.at(n, pids_max(2, 65_535))).collect();
    let owner = Cgroup { id: 5, path: Some("/kubepods".into()) };
    let subject = Subject { limit_owner: Some(owner), ..Subject::default() };
    let summary = evidence(&raised[0]).summary(&subject);
    assert!(summary.contains("5 clones were refused with EAGAIN in 10 s"), "{summary}");
    assert!(
        summary.ends_with("pids.max of /kubepods is reached (65535 of 65535 tasks)"),
        "{summary}"
    );

    let node = NodeLimit { name: "kernel.threads-max", current: 999, limit: 1_000 };
    let subject = Subject { node_limit: Some(node), ..Subject::default() };
    for (cause, words) in [
        (
            Cause::RlimitNproc { uid: 7, current: 9, limit: 9 },
            "user 7 is at RLIMIT_NPROC (9 of 9 tasks)",
        ),
        (
            Cause::ThreadsMax { current: 9, limit: 9 },
            "the node is at kernel.threads-max (9 of 9 tasks)",
        ),
        (
            Cause::PidMax { namespace: 7, level: 1, current: 9, limit: 301 },
            "its pid namespace is at kernel.pid_max (9 of 301 pids)",
        ),
        (
            Cause::PidMax { namespace: 7, level: 0, current: 9, limit: 301 },
            "the node is at kernel.pid_max (9 of 301 pids)",
        ),
        (Cause::PidNamespaceDying, "the init of its pid namespace is gone"),
        (Cause::Memory, "no memory"),
        (Cause::Unresolved, "kernel.threads-max (999 of 1000), by the look of it"),
    ] {
        let evidence = ForkEvidence { cause, ..ForkEvidence::default() };
        assert!(evidence.summary(&subject).contains(words), "{}", evidence.summary(&subject));
    }
}
