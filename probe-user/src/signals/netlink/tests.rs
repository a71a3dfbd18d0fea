use super::{NetlinkChange, NetlinkEvidence, birthplace::Birth, detect::NetlinkDetector};
use crate::{
    config::netlink::NetlinkConfig,
    enrich::subject::Subject,
    event::{Body, Fact, ProcessFds},
    findings::{Condition, Evidence, Severity},
    signals::testing::{Bench, MINUTE, SECOND, verdicts},
};

mod births;
mod gaps;

fn bench() -> Bench {
    let mut bench = Bench::new(Box::new(NetlinkDetector::new(&NetlinkConfig::default())));
    bench.tick(0);
    bench
}

fn open(socket: u64) -> Body {
    Body::Netlink(NetlinkChange::Opened { socket, protocol: 0, birth: Birth::Early })
}

fn close(socket: u64) -> Body {
    Body::Netlink(NetlinkChange::Closed { socket })
}

fn evidence(condition: &Condition) -> &NetlinkEvidence {
    match &condition.evidence {
        Evidence::Netlink(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

/// Calico 3.29.0: a healthy dozen, then exactly two more a minute.
#[test]
fn the_calico_leak_warns_in_about_25_minutes() {
    let mut bench = bench();
    (0..14).for_each(|n| drop(bench.at(SECOND, open(n))));
    let first = (1..60u64).find_map(|minute| {
        bench.at(minute * MINUTE - 2, open(1_000 + minute));
        bench.at(minute * MINUTE - 1, open(2_000 + minute));
        bench.tick(minute * MINUTE).into_iter().next().map(|raised| (minute, raised))
    });
    let (minute, raised) = first.expect("warns");
    assert_eq!(minute, 25);
    assert_eq!(verdicts(std::slice::from_ref(&raised)), [("netlink-leak", Severity::Warning)]);
    let evidence = evidence(&raised);
    assert_eq!((evidence.open, evidence.growth_per_hour), (64, 120));
    assert_eq!((evidence.rising_buckets, evidence.buckets), (20, 20));
    assert_eq!(evidence.protocol, "NETLINK_ROUTE");
    assert_eq!(evidence.oldest_seconds, 25 * 60 - 1);
}

#[test]
fn rates_do_not_matter() {
    let mut bench = bench();
    for n in 0..100_000u64 {
        assert!(bench.at(n * SECOND / 100, open(n)).is_empty());
        bench.at(n * SECOND / 100 + 1, close(n));
    }
    assert_eq!(bench.detector.tracked(), 0);
}

#[test]
fn a_flat_number_of_sockets_is_quiet() {
    let mut bench = bench();
    (0..500).for_each(|n| assert!(bench.at(SECOND, open(n)).is_empty()));
    for minute in 1..120 {
        assert!(bench.tick(minute * MINUTE).is_empty(), "minute {minute}");
    }
}

#[test]
fn too_short_a_history_is_no_trend() {
    let mut bench = bench();
    for minute in 1..=20u64 {
        (0..10).for_each(|n| drop(bench.at(minute * MINUTE - 1, open(minute * 100 + n))));
        assert!(bench.tick(minute * MINUTE).is_empty(), "20 ends make 19 buckets");
    }
    assert_eq!(bench.tick(21 * MINUTE).len(), 1, "19 of 20 rose: 95 %");
}

#[test]
fn four_fifths_of_the_buckets_must_rise() {
    for (flat, warns) in [(4, true), (5, false)] {
        let mut bench = bench();
        (0..100).for_each(|n| drop(bench.at(SECOND, open(n))));
        for minute in 1..=21u64 {
            if minute > 1 + flat {
                bench.at(minute * MINUTE - 1, open(1_000 + minute));
            }
            let raised = bench.tick(minute * MINUTE);
            assert_eq!(!raised.is_empty(), warns && minute == 21, "{flat} flat, minute {minute}");
        }
    }
}

#[test]
fn five_hundred_and_twelve_are_critical_at_once() {
    let mut bench = bench();
    (0..511).for_each(|n| assert!(bench.at(n, open(n)).is_empty()));
    let raised = bench.at(512, open(511));
    assert_eq!(verdicts(&raised), [("netlink-leak", Severity::Critical)]);
    assert_eq!(bench.tick(SECOND).len(), 1, "holds");
    (0..300).for_each(|n| drop(bench.at(2 * SECOND, close(n))));
    assert!(bench.tick(3 * SECOND).is_empty(), "gone");
}

#[test]
fn one_socket_a_namespace_is_no_leak() {
    let mut bench = bench();
    for netns in 1..=2_000 {
        bench.context.netns = Some(netns);
        assert!(bench.at(u64::from(netns), open(u64::from(netns))).is_empty());
    }
    assert!(bench.tick(MINUTE).is_empty());
}

#[test]
fn sockets_count_for_whoever_opened_them_until_the_last_close() {
    let mut bench = bench();
    (0..600).for_each(|n| drop(bench.at(n, open(n))));
    bench.context.pid = 99;
    (0..600).for_each(|n| drop(bench.at(1_000, close(n))));
    assert_eq!(bench.detector.tracked(), 0, "closed by another process");
    bench.at(2_000, close(12_345));
    assert!(bench.tick(SECOND).is_empty());
}

#[test]
fn an_exit_takes_all_sockets_and_a_reused_id_replaces() {
    let mut bench = bench();
    (0..600).for_each(|n| drop(bench.at(n, open(n))));
    bench.context.pid = 99;
    bench.at(700, open(5));
    assert_eq!(bench.detector.tracked(), 600, "id 5 moved to another process");
    bench.context.pid = 812;
    bench.at(800, Body::Netlink(NetlinkChange::OwnerExited));
    assert_eq!(bench.detector.tracked(), 1);
}

#[test]
fn sockets_are_bounded_and_the_rest_counted() {
    let mut bench = bench();
    for n in 0..70_000u64 {
        bench.context.pid = n as u32 / 100 + 1;
        bench.at(n, open(n));
    }
    assert_eq!(bench.detector.tracked(), 65_536);
    assert_eq!(bench.detector.evicted(), 70_000 - 65_536);
}

#[test]
fn a_long_pause_ends_one_bucket_only() {
    let mut bench = bench();
    (0..100).for_each(|n| drop(bench.at(SECOND, open(n))));
    assert!(bench.tick(10_000 * MINUTE).is_empty());
    assert!(bench.tick(u64::MAX).is_empty(), "nor does the end of time overflow");
}

fn seed(socket: u64) -> Body {
    Body::Netlink(NetlinkChange::Seeded { socket, protocol: 0 })
}

#[test]
fn a_leak_older_than_the_agent_is_critical_at_the_first_tick() {
    let mut bench = bench();
    (0..600).for_each(|n| assert!(bench.at(SECOND, seed(n)).is_empty()));
    let raised = bench.tick(2 * SECOND);
    assert_eq!(verdicts(&raised), [("netlink-leak", Severity::Critical)]);
    let seen = evidence(&raised[0]);
    assert_eq!((seen.open, seen.seeded, seen.opened_total, seen.oldest_seconds), (600, 600, 0, 1));
    let said = seen.summary(&Subject::default());
    assert!(said.ends_with("; all were open before the agent started"), "{said}");
    (0..100).for_each(|n| drop(bench.at(3 * SECOND, close(n))));
    assert!(bench.tick(4 * SECOND).is_empty(), "closed like any other");
}

#[test]
fn sockets_older_than_the_agent_count_together_with_later_ones() {
    let mut bench = bench();
    (0..500).for_each(|n| drop(bench.at(SECOND, seed(n))));
    assert!(bench.tick(2 * SECOND).is_empty(), "many and steady");
    (500..511).for_each(|n| assert!(bench.at(3 * SECOND, open(n)).is_empty()));
    let raised = bench.at(4 * SECOND, open(511));
    assert_eq!(verdicts(&raised), [("netlink-leak", Severity::Critical)]);
    let seen = evidence(&raised[0]);
    assert_eq!((seen.open, seen.seeded, seen.opened_total), (512, 500, 12));
    let said = seen.summary(&Subject::default());
    assert!(said.ends_with("; 500 of them were open before the agent started"), "{said}");
}

#[test]
fn a_socket_both_found_and_seen_opening_counts_once() {
    let mut bench = bench();
    (0..600).for_each(|n| drop(bench.at(SECOND, seed(n))));
    (0..600).for_each(|n| drop(bench.at(SECOND - 1, open(n))));
    let raised = bench.tick(2 * SECOND);
    let seen = evidence(&raised[0]);
    assert_eq!((seen.open, seen.seeded), (600, 0));
}

/// Two sockets a minute in a process whose other fds are 20, which is looked at once a minute.
fn calico_with_a_limit(limit: Option<u64>) -> (u64, Condition) {
    let mut bench = bench();
    (0..14).for_each(|n| drop(bench.at(SECOND, open(n))));
    let first = (1..60u64).find_map(|minute| {
        bench.at(minute * MINUTE - 3, open(1_000 + minute));
        bench.at(minute * MINUTE - 2, open(2_000 + minute));
        let fds = ProcessFds { open: 34 + 2 * minute, limit, ..ProcessFds::default() };
        bench.at(minute * MINUTE - 1, Body::Polled(Fact::ProcessFds(fds)));
        bench.tick(minute * MINUTE).into_iter().next().map(|raised| (minute, raised))
    });
    first.expect("raised")
}

#[test]
fn a_limit_that_is_reached_within_a_day_is_critical() {
    let (minute, raised) = calico_with_a_limit(Some(1_024));
    assert_eq!((minute, raised.severity), (25, Severity::Critical));
    let seen = evidence(&raised);
    assert_eq!((seen.fds, seen.fd_limit), (Some(84), Some(1_024)));
    // 80 % are 820: 736 more, two a minute.
    assert_eq!(seen.seconds_to_limit, Some(368 * 60));
    assert_eq!((seen.growth_per_hour, seen.confidence_percent), (120, 100));
    let said = seen.summary(&Subject::default());
    assert!(said.contains(", 80 % of its limit of 1024 fds in 6.1 h;"), "{said}");
    // A day is 2,880 sockets: 80 % of 3,705 are 84 + 2,880.
    assert_eq!(calico_with_a_limit(Some(3_705)).1.severity, Severity::Critical);
    assert_eq!(calico_with_a_limit(Some(3_707)).1.severity, Severity::Warning);
}

#[test]
fn a_limit_that_is_far_or_unknown_is_a_warning() {
    for limit in [Some(1_048_576), None] {
        let (minute, raised) = calico_with_a_limit(limit);
        assert_eq!((minute, raised.severity), (25, Severity::Warning), "{limit:?}");
        assert_eq!(evidence(&raised).seconds_to_limit.is_some(), limit.is_some());
    }
}

#[test]
fn a_limit_that_is_near_is_nothing_without_a_trend() {
    let mut bench = bench();
    (0..80).for_each(|n| drop(bench.at(SECOND, open(n))));
    for minute in 1..60 {
        let fds = ProcessFds { open: 119, limit: Some(128), ..ProcessFds::default() };
        bench.at(minute * MINUTE - 1, Body::Polled(Fact::ProcessFds(fds)));
        assert!(bench.tick(minute * MINUTE).is_empty(), "minute {minute}");
    }
}
