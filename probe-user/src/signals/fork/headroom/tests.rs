use super::*;
use crate::{
    event::{Body, LimitedCgroups},
    signals::{
        fork::detect::ForkDetector,
        testing::{Bench, SECOND, verdicts},
    },
};

const LOOK: u64 = 5 * SECOND;

fn bench() -> Bench {
    Bench::new(Box::new(ForkDetector::new(&ForkConfig::default())))
}

fn group(current: u64, limit: u64, height: u32) -> Body {
    let cgroups = vec![CgroupTasks { id: 5, current, limit, height }];
    Body::Polled(Fact::CgroupTasks(LimitedCgroups { cgroups, unvisited: 0 }))
}

/// An ancestor of many, such as kubepods.
fn pods(current: u64) -> Body {
    group(current, 10_000, 3)
}

fn node(current: u64, threads_max: u64, pid_max: u64) -> Body {
    Body::Polled(Fact::NodeTasks(NodeTasks { current, threads_max, pid_max }))
}

/// Gives one body a look and returns all that is raised.
fn looks(bench: &mut Bench, bodies: impl IntoIterator<Item = Body>) -> Vec<Condition> {
    let numbered = bodies.into_iter().enumerate();
    numbered.flat_map(|(n, body)| bench.at((n as u64 + 1) * LOOK, body)).collect()
}

fn evidence(condition: &Condition) -> &HeadroomEvidence {
    match &condition.evidence {
        Evidence::ForkHeadroom(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn eighty_percent_warn_and_ninety_are_critical() {
    for (current, severity) in [
        (7_999, None),
        (8_000, Some(Severity::Warning)),
        (8_999, Some(Severity::Warning)),
        (9_000, Some(Severity::Critical)),
        (10_000, Some(Severity::Critical)),
    ] {
        let raised = bench().at(LOOK, pods(current));
        assert_eq!(raised.first().map(|condition| condition.severity), severity, "{current}");
    }
    let raised = bench().at(LOOK, pods(8_000));
    assert_eq!(verdicts(&raised), [("fork-headroom", Severity::Warning)]);
    assert_eq!(raised[0].who.limit_owner, Some(5));
    let numbers = evidence(&raised[0]);
    assert_eq!((numbers.current, numbers.limit, numbers.used_percent), (8_000, 10_000, 80));
    assert_eq!((numbers.slope_per_minute, numbers.seconds_left), (None, None));
}

#[test]
fn a_flat_line_has_no_time_left_and_fires_once_when_it_is_high() {
    for (current, times) in [(5_000, 0), (7_900, 0), (8_500, 1)] {
        let mut bench = bench();
        let raised = looks(&mut bench, (0..200).map(|_| pods(current)));
        assert_eq!(raised.len(), times, "{current}");
        let held = bench.tick(201 * LOOK);
        assert!(held.iter().all(|held| evidence(held).seconds_left.is_none()));
        assert_eq!(held.len(), times);
    }
}

#[test]
fn a_steady_growth_is_critical_when_it_is_full_in_five_minutes() {
    // A hundred more each look are 1,200 a minute. With the tenth look 4,600 are left: 230 s.
    let mut bench = bench();
    let raised = looks(&mut bench, (0..12).map(|n| pods(4_500 + 100 * n)));
    assert_eq!(verdicts(&raised), [("fork-headroom", Severity::Critical)]);
    let numbers = evidence(&raised[0]);
    assert_eq!(numbers.slope_per_minute, Some(1_200));
    assert_eq!(numbers.seconds_left, Some(230));
    assert_eq!(numbers.confidence, Some(Confidence::High));
    assert!(
        numbers.summary(&Subject::default()).ends_with("1200 more a minute: full in about 230 s")
    );
}

#[test]
fn slower_growth_is_quiet() {
    // 16 each look are 192 a minute: 10 minutes to go when the first threshold warns.
    let mut bench = bench();
    let raised = looks(&mut bench, (0..160).map(|n| pods(5_500 + 16 * n)));
    assert_eq!(verdicts(&raised), [("fork-headroom", Severity::Warning)]);
    let left = evidence(&raised[0]).seconds_left.unwrap();
    assert!(left > 300, "{left}");
}

#[test]
fn growth_below_half_or_of_few_samples_is_a_start() {
    assert!(looks(&mut bench(), (0..30).map(|n| pods(160 * n))).is_empty());
    assert!(looks(&mut bench(), (0..9).map(|n| pods(6_000 + 200 * n))).is_empty());
}

#[test]
fn what_grows_and_shrinks_is_quiet() {
    let saw = |n: u64| pods(5_500 + 400 * (n % 5));
    assert!(looks(&mut bench(), (0..100).map(saw)).is_empty());
}

#[test]
fn a_leaf_with_a_small_limit_of_its_own_is_info_and_a_tiny_one_nothing() {
    for (limit, height, severity) in [
        (63, 0, None),
        (64, 0, Some(Severity::Info)),
        (4_096, 1, Some(Severity::Info)),
        (4_096, 2, Some(Severity::Critical)),
        (4_097, 0, Some(Severity::Critical)),
    ] {
        let mut bench = bench();
        let raised = bench.at(LOOK, group(limit, limit, height));
        assert_eq!(raised.first().map(|raised| raised.severity), severity, "{limit} {height}");
        assert_eq!(bench.tick(LOOK + 1).len(), usize::from(severity.is_some()));
    }
}

#[test]
fn it_does_not_flap_around_a_threshold() {
    let mut bench = bench();
    let raised = looks(&mut bench, (0..50).map(|n| pods(8_000 - 400 * (n % 2))));
    assert_eq!(raised.len(), 1);
    assert!(bench.at(51 * LOOK, pods(7_500)).is_empty());
    assert_eq!(bench.tick(51 * LOOK).len(), 1);
    bench.at(52 * LOOK, pods(7_499));
    assert!(bench.tick(52 * LOOK).is_empty());
}

#[test]
fn the_lower_limit_of_the_node_counts() {
    for (threads_max, pid_max, kind, limit) in [
        (10_000, 4_194_304, LimitKind::ThreadsMax, 10_000),
        (96_000, 10_000, LimitKind::PidMax, 10_000),
    ] {
        let raised = bench().at(LOOK, node(8_000, threads_max, pid_max));
        assert_eq!(verdicts(&raised), [("fork-headroom", Severity::Warning)]);
        let numbers = evidence(&raised[0]);
        assert_eq!((numbers.kind, numbers.limit, numbers.owner), (kind, limit, None));
        assert!(numbers.summary(&Subject::default()).starts_with("the node has 8000 of the 10000"));
    }
    assert!(bench().at(LOOK, node(7_999, 10_000, 4_194_304)).is_empty());
    assert_eq!(bench().at(LOOK, node(1, 0, 0)).len(), 1, "nonsense is no crash");
}

#[test]
fn a_raised_limit_ends_it_and_what_is_gone_is_forgotten() {
    let mut bench = bench();
    bench.at(LOOK, pods(9_000));
    bench.at(2 * LOOK, group(9_000, 100_000, 3));
    assert!(bench.tick(2 * LOOK).is_empty());
    bench.at(3 * LOOK, pods(9_000));
    assert_eq!(bench.tick(6 * LOOK).len(), 1);
    assert!(bench.tick(6 * LOOK + 1).is_empty());
    assert_eq!(bench.detector.tracked(), 0);
}

#[test]
fn it_is_bounded() {
    let mut bench = bench();
    for number in 0..20 {
        let cgroup = |id| CgroupTasks { id, current: 1, limit: 100, height: 0 };
        let cgroups = (0..1_000).map(|id| cgroup(number * 1_000 + id + 1)).collect();
        let fact = Fact::CgroupTasks(LimitedCgroups { cgroups, unvisited: 3 });
        bench.at(number, Body::Polled(fact));
    }
    assert_eq!(bench.detector.tracked(), MOST_LIMITS);
    assert_eq!(bench.detector.evicted() as usize, 20_000 - MOST_LIMITS + 60);
}

#[test]
fn what_holds_goes_on_while_nothing_can_be_looked_at() {
    let mut bench = bench();
    assert_eq!(bench.at(LOOK, pods(9_000)).len(), 1);
    for look in 2..100 {
        bench.at(look * LOOK, Body::Polled(Fact::Blind("cgroup_tasks")));
        assert_eq!(bench.tick(look * LOOK + 1).len(), 1, "look {look}");
    }
    assert!(bench.tick(103 * LOOK).is_empty(), "it could be looked at, and was not there");
}
