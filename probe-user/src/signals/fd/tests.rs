use super::{FdEvidence, Scope, detect::FdDetector};
use crate::{
    config::fd::FdConfig,
    enrich::subject::{Process, Subject},
    event::{Body, Fact, FdKind, FdKinds, FdRound, NodeFiles, ProcessFds},
    findings::{Condition, Evidence, Severity},
    signals::testing::{Bench, MINUTE, SECOND, verdicts},
};

const LEAK: &str = "fd-leak";
const EXHAUSTED: &str = "fd-exhausted";
/// The limit of a process that systemd or containerd started.
const BIG: u64 = 1_048_576;

fn bench() -> Bench {
    Bench::new(Box::new(FdDetector::new(&FdConfig::default())))
}

fn fds(open: u64, limit: u64) -> ProcessFds {
    ProcessFds { start: 77, open, limit: Some(limit), kinds: None }
}

fn kinds(all: &[(&'static str, u64)], sampled: u64) -> Option<FdKinds> {
    let kind = |(kind, open): &(&'static str, u64)| FdKind {
        kind: (*kind).into(),
        open: *open,
        directory: None,
    };
    Some(FdKinds { kinds: all.iter().map(kind).collect(), sampled })
}

fn evidence(condition: &Condition) -> &FdEvidence {
    match &condition.evidence {
        Evidence::Fd(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

fn said(condition: &Condition) -> String {
    let process = Process { pid: 812, comm: Some("agent".into()), ..Process::default() };
    let subject = Subject { process: Some(process), ..Subject::default() };
    evidence(condition).summary(&subject)
}

/// Shows the process once a minute and returns the first that is raised, with its minute.
fn first(
    bench: &mut Bench,
    looks: impl IntoIterator<Item = ProcessFds>,
) -> Option<(u64, Condition)> {
    (1..).zip(looks).find_map(|(minute, fds)| {
        let mut raised = bench.at(minute * MINUTE, Body::Polled(Fact::ProcessFds(fds)));
        raised.extend(end_round(bench, minute * MINUTE, FdRound::default()));
        raised.into_iter().next().map(|raised| (minute, raised))
    })
}

fn end_round(bench: &mut Bench, at: u64, round: FdRound) -> Vec<Condition> {
    bench.at(at, Body::Polled(Fact::FdRound(round)))
}

/// aws/aws-network-policy-agent#146: 416,698 bpf-map fds.
#[test]
fn maps_that_are_never_closed_warn_after_a_history() {
    let looks = (0..60).map(|n| ProcessFds {
        kinds: kinds(&[("bpf-map", 2_000 + 6 * n), ("file", 30)], 1),
        ..fds(2_030 + 6 * n, BIG)
    });
    let (minute, raised) = first(&mut bench(), looks).expect("warns");
    assert_eq!(minute, 21, "20 buckets have 21 ends");
    assert_eq!(verdicts(std::slice::from_ref(&raised)), [(LEAK, Severity::Warning)]);
    let seen = evidence(&raised);
    assert_eq!((seen.open, seen.growth_per_hour, seen.confidence_percent), (2_150, 360, 100));
    assert_eq!((seen.rising_buckets, seen.buckets, seen.bucket_seconds), (20, 20, 60));
    let top = &seen.kinds[0];
    assert_eq!((&*top.kind, top.open, top.growth_per_hour), ("bpf-map", 2_120, Some(360)));
    let left = seen.seconds_to_80_percent.expect("rises");
    assert!((96..97).contains(&(left / 86_400)), "{left}");
    assert_eq!(
        said(&raised),
        "agent (pid 812) holds 2150 fds open, growing by 360 an hour; 80 % of its limit of 1048576 \
         in 96 days; 2120 of them are bpf-map, growing by 360 an hour"
    );
}

/// istio/ztunnel#1629: some 19,000 sockets in CLOSE-WAIT, told apart by a sample.
#[test]
fn the_kind_that_grows_comes_first() {
    let looks = (0..60).map(|n| ProcessFds {
        kinds: kinds(&[("file", 20_000), ("tcp CLOSE-WAIT", 18_000 + 40 * n)], 3),
        ..fds(38_000 + 40 * n, BIG)
    });
    let (_, raised) = first(&mut bench(), looks).expect("warns");
    let seen = evidence(&raised);
    assert_eq!((&*seen.kinds[0].kind, seen.kinds_sampled), ("tcp CLOSE-WAIT", Some(3)));
    let said = said(&raised);
    assert!(
        said.ends_with("; about 18800 of them are tcp CLOSE-WAIT, growing by 2400 an hour"),
        "{said}"
    );
}

#[test]
fn fewer_than_a_thousand_far_from_the_limit_are_quiet() {
    assert!(first(&mut bench(), (0..21).map(|n| fds(979 + n, BIG))).is_none());
    let raised = first(&mut bench(), (0..21).map(|n| fds(980 + n, BIG)));
    assert_eq!(raised.map(|(minute, _)| minute), Some(21));
}

#[test]
fn a_limit_that_is_reached_within_a_day_is_critical() {
    // 80 % of 1,024 are 820. At two a minute, 256 are open 282 minutes before.
    let (minute, raised) = first(&mut bench(), (0..).map(|n| fds(100 + 2 * n, 1_024))).unwrap();
    assert_eq!((minute, evidence(&raised).open), (79, 256));
    assert_eq!(verdicts(std::slice::from_ref(&raised)), [(LEAK, Severity::Critical)]);
    assert_eq!(evidence(&raised).seconds_to_80_percent, Some(282 * 60));
    assert!(said(&raised).ends_with("80 % of its limit of 1024 in 4.7 h"), "{}", said(&raised));
    // One a minute: 1,440 a day.
    for (open, severity) in
        [(8_000 - 1_440, Severity::Critical), (7_999 - 1_440, Severity::Warning)]
    {
        let looks = (0..21).map(|n| fds(open - 20 + n, 10_000));
        let (_, raised) = first(&mut bench(), looks).unwrap();
        assert_eq!(raised.severity, severity, "{open}");
    }
}

#[test]
fn half_of_a_small_limit_is_enough_to_look_ahead() {
    let (_, raised) = first(&mut bench(), (0..).map(|n| fds(70 + n, 200))).unwrap();
    assert_eq!((evidence(&raised).open, raised.severity), (100, Severity::Critical));
}

#[test]
fn many_fds_but_always_as_many_are_quiet() {
    assert!(first(&mut bench(), (0..200).map(|_| fds(5_000, BIG))).is_none());
    assert!(first(&mut bench(), (0..200).map(|n| fds(5_000 + n % 2, 8_000))).is_none());
}

#[test]
fn fds_that_come_and_go_are_quiet() {
    for period in [3, 7, 10, 15, 20] {
        let looks = (0..300).map(|n| fds(2_000 + 30 * (n % period), BIG));
        assert!(first(&mut bench(), looks).is_none(), "every {period} minutes");
    }
}

#[test]
fn a_jump_is_no_trend() {
    let looks = (0..60).map(|n| fds(if n < 18 { 1_000 + n } else { 4_000 + n }, 10_000));
    assert!(first(&mut bench(), looks.take(24)).is_none());
}

#[test]
fn four_fifths_of_the_buckets_must_rise() {
    for (flat, warns) in [(4, true), (5, false)] {
        let looks = (0..21u64).map(|n| fds(2_000 + 5 * (n - n.min(flat)), BIG));
        assert_eq!(first(&mut bench(), looks).is_some(), warns, "{flat} flat");
    }
}

#[test]
fn what_a_process_came_back_from_once_is_no_news() {
    let mut bench = bench();
    let mut open_when_raised = |minutes: std::ops::Range<u64>| {
        let raised = minutes.filter_map(|minute| {
            // A garbage collector that runs once an hour, until it does not.
            let open = 1_000 + 100 * if minute < 180 { minute % 60 } else { minute - 180 };
            let raised = bench.at(minute * MINUTE, Body::Polled(Fact::ProcessFds(fds(open, BIG))));
            raised.into_iter().next().map(|raised| evidence(&raised).open)
        });
        raised.collect::<Vec<_>>()
    };
    assert_eq!(open_when_raised(0..60)[0], 3_000, "nobody can know it will fall");
    assert!(open_when_raised(60..240).is_empty(), "it fell, and now it does as before");
    assert_eq!(open_when_raised(240..300)[0], 7_600, "a tenth more than 6,900");
}

#[test]
fn a_process_at_its_limit_is_exhausted_at_once() {
    for (open, raises) in [(242, false), (243, false), (244, true), (256, true)] {
        let raised = bench().at(SECOND, Body::Polled(Fact::ProcessFds(fds(open, 256))));
        assert_eq!(!raised.is_empty(), raises, "{open}");
    }
    let full = ProcessFds { kinds: kinds(&[("eventfd", 250), ("pipe", 6)], 1), ..fds(256, 256) };
    let mut bench = bench();
    let raised = bench.at(SECOND, Body::Polled(Fact::ProcessFds(full)));
    assert_eq!(verdicts(&raised), [(EXHAUSTED, Severity::Critical)]);
    assert!(evidence(&raised[0]).inferred);
    assert_eq!(
        said(&raised[0]),
        "agent (pid 812) has 256 of its 256 fds (soft RLIMIT_NOFILE) open: each further open fails \
         with EMFILE (inferred from the numbers); 250 of them are eventfd"
    );
    assert_eq!(bench.tick(2 * SECOND).len(), 1, "holds");
    bench.at(MINUTE, Body::Polled(Fact::ProcessFds(fds(100, 256))));
    assert!(bench.tick(MINUTE + 1).is_empty(), "over");
}

#[test]
fn a_sandbox_and_no_limit_are_not_exhausted() {
    for limit in [Some(0), Some(63), None] {
        let fds = ProcessFds { limit, ..fds(100, 0) };
        assert!(bench().at(SECOND, Body::Polled(Fact::ProcessFds(fds))).is_empty(), "{limit:?}");
    }
}

#[test]
fn the_node_is_held_against_file_max() {
    let round = |allocated| FdRound {
        files: Some(NodeFiles { allocated, max: 100_000 }),
        ..FdRound::default()
    };
    let mut bench = bench();
    assert!(end_round(&mut bench, MINUTE, round(89_999)).is_empty());
    let raised = end_round(&mut bench, 2 * MINUTE, round(90_000));
    assert_eq!(verdicts(&raised), [(EXHAUSTED, Severity::Critical)]);
    assert_eq!(evidence(&raised[0]).scope, Scope::Node);
    assert_eq!(raised[0].who.context.pid, 0);
    assert_eq!(
        said(&raised[0]),
        "this node has 90000 of its 100000 files (fs.file-max) open: each further open will soon \
         fail with ENFILE (inferred from the numbers)"
    );
    let growing =
        (3..60).map(|minute| end_round(&mut bench, minute * MINUTE, round(50_000 + 30 * minute)));
    let raised = growing.flatten().next().expect("a leak of the node");
    assert_eq!(verdicts(std::slice::from_ref(&raised)), [(LEAK, Severity::Critical)]);
    assert!(said(&raised).starts_with("this node has 50"), "{}", said(&raised));
}

#[test]
fn a_node_without_a_limit_to_speak_of_is_quiet() {
    let mut bench = bench();
    for minute in 1..100 {
        let files = Some(NodeFiles { allocated: 50_000 * minute, max: i64::MAX as u64 });
        let round = FdRound { files, ..FdRound::default() };
        assert!(end_round(&mut bench, minute * MINUTE, round).is_empty());
    }
}

#[test]
fn a_look_that_was_not_close_keeps_what_is_known() {
    let mut bench = bench();
    let full = || Body::Polled(Fact::ProcessFds(fds(256, 256)));
    bench.at(MINUTE, full());
    bench.context.cgroup = None;
    let raised = bench.at(2 * MINUTE, full());
    assert_eq!(raised[0].who.context.cgroup, Some(77));
    let round = FdRound { not_told_apart: 3, ..FdRound::default() };
    end_round(&mut bench, 3 * MINUTE, round);
    assert_eq!((bench.detector.tracked(), bench.detector.evicted()), (0, 3), "all were looked at");
}

#[test]
fn another_process_with_the_same_pid_starts_anew() {
    let mut bench = bench();
    let looks = (0..40).map(|n| ProcessFds { start: n / 20, ..fds(2_000 + 6 * n, BIG) });
    assert!(first(&mut bench, looks).is_none(), "20 looks at each");
}

#[test]
fn the_gone_are_forgotten_and_the_unseen_after_a_while() {
    let mut bench = bench();
    let show = |bench: &mut Bench, at| {
        bench.at(at, Body::Polled(Fact::ProcessFds(fds(256, 256))));
    };
    show(&mut bench, MINUTE);
    assert_eq!((bench.detector.tracked(), bench.tick(MINUTE).len()), (1, 1));
    end_round(&mut bench, 2 * MINUTE, FdRound::default());
    assert_eq!(bench.detector.tracked(), 0, "a whole round did not tell of it");
    show(&mut bench, 3 * MINUTE);
    end_round(&mut bench, 4 * MINUTE, FdRound { left_out: 9, ..FdRound::default() });
    assert_eq!((bench.detector.tracked(), bench.detector.evicted()), (1, 9), "who knows");
    let patience = 3 * MINUTE + 30 * SECOND;
    assert_eq!(bench.tick(3 * MINUTE + patience).len(), 1);
    assert!(bench.tick(3 * MINUTE + patience + 1).is_empty());
    assert_eq!(bench.detector.tracked(), 0, "three rounds are enough");
}

#[test]
fn processes_are_bounded_and_the_small_have_no_history() {
    let mut bench = bench();
    for start in 0..5_000 {
        bench.at(start, Body::Polled(Fact::ProcessFds(ProcessFds { start, ..fds(63, 100) })));
    }
    assert_eq!(bench.detector.tracked(), 0);
    for start in 0..5_000 {
        bench.at(start, Body::Polled(Fact::ProcessFds(ProcessFds { start, ..fds(64, BIG) })));
    }
    assert_eq!((bench.detector.tracked(), bench.detector.evicted()), (4_096, 5_000 - 4_096));
}

#[test]
fn what_holds_goes_on_while_nothing_can_be_looked_at() {
    let mut bench = bench();
    bench.at(MINUTE, Body::Polled(Fact::ProcessFds(fds(256, 256))));
    bench.at(60 * MINUTE, Body::Polled(Fact::Blind("fds")));
    assert_eq!(bench.tick(61 * MINUTE).len(), 1);
}
