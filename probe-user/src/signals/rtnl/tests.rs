use super::{
    detect::RtnlDetector,
    evidence::{RtnlEvidence, Share},
    waits::MOST_AGENTS,
    *,
};
use crate::{
    config::rtnl::RtnlConfig,
    event::Fact,
    findings::{Condition, Evidence, Severity},
    signals::testing::{Bench, MINUTE, SECOND, comm, verdicts},
};

const MS: u64 = 1_000_000;
/// A moment at which slices of the default window begin.
const START: u64 = 10 * MINUTE;

fn bench() -> Bench {
    Bench::new(Box::new(RtnlDetector::new(&RtnlConfig::default())))
}

fn program(name: &str, pid: u32) -> Party {
    Party { pid, comm: comm(name), cgroup: Some(9), ..Party::default() }
}

fn tool_of(agent: &str, pid: u32) -> Party {
    Party { parent: Some((pid, comm(agent))), ..program("ip", pid + 1_000) }
}

fn worker(queue: &str) -> Party {
    Party { work: Some(comm(queue)), ..program("kworker/u4:1", 94) }
}

fn waited(ns: u64, waiter: Party, holder: Party) -> Body {
    Body::Rtnl(RtnlWaits::One(Wait { waited_ns: ns, waiter, holder: Some(holder) }))
}

fn some_wait(ns: u64) -> Body {
    waited(ns, program("kubelet", 5), tool_of("storm", 7))
}

fn evidence(condition: &Condition) -> &RtnlEvidence {
    match &condition.evidence {
        Evidence::Rtnl(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn fifteen_seconds_of_waiting_in_a_minute_warn_once() {
    let mut bench = bench();
    for n in 0..14 {
        assert!(bench.at(START + n * SECOND, some_wait(SECOND)).is_empty());
    }
    assert!(bench.at(START + 14 * SECOND, some_wait(SECOND - 1)).is_empty(), "a ns is missing");
    let raised = bench.at(START + 15 * SECOND, some_wait(1));
    assert_eq!(verdicts(&raised), [("rtnl-pressure", Severity::Warning)]);
    assert!(bench.at(START + 16 * SECOND, some_wait(SECOND)).is_empty(), "no worse than before");
    assert_eq!(verdicts(&bench.tick(START + 17 * SECOND)).len(), 1, "it holds");
    assert!(bench.tick(START + 2 * MINUTE).is_empty(), "it is over");
}

#[test]
fn the_same_waiting_spread_over_minutes_is_quiet() {
    let mut bench = bench();
    for n in 0..600 {
        let at = START + n * 5 * SECOND;
        assert!(bench.at(at, some_wait(SECOND)).is_empty(), "12 s a minute");
        assert!(bench.tick(at).is_empty());
    }
}

#[test]
fn a_minute_of_waiting_in_a_minute_is_critical() {
    let mut bench = bench();
    let said: Vec<_> =
        (0..40).flat_map(|n| bench.at(START + n * SECOND, some_wait(3 * SECOND / 2))).collect();
    let severities: Vec<_> = verdicts(&said).into_iter().map(|(_, severity)| severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Critical]);
    assert_eq!(evidence(&said[1]).waited_ms, 60_000);
}

#[test]
fn one_wait_of_ten_seconds_is_critical() {
    let mut bench = bench();
    assert!(bench.at(START, some_wait(10 * SECOND - 1)).is_empty());
    let raised = bench.at(START, some_wait(10 * SECOND));
    assert_eq!(verdicts(&raised), [("rtnl-pressure", Severity::Critical)]);
    assert_eq!(evidence(&raised[0]).longest_ns, 10 * SECOND);
}

#[test]
fn short_waits_count_in_sum_and_are_never_the_longest() {
    let mut bench = bench();
    let short = |ns| Body::Rtnl(RtnlWaits::Many { waits: 1_000, waited_ns: ns });
    assert!(bench.at(START, short(10 * SECOND)).is_empty());
    let raised = bench.at(START + SECOND, short(5 * SECOND));
    assert_eq!(verdicts(&raised), [("rtnl-pressure", Severity::Warning)]);
    let evidence = evidence(&raised[0]);
    assert_eq!((evidence.waits, evidence.waits_in_sum), (2_000, 2_000));
    assert_eq!((evidence.longest_ns, evidence.holders.len()), (0, 0));
    assert_eq!(raised[0].who.context.pid, 0, "nobody is named");
}

#[test]
fn the_culprit_is_the_one_the_others_wait_for_longest() {
    let mut bench = bench();
    bench.at(START, waited(SECOND, tool_of("storm", 7), program("kubelet", 5)));
    bench.at(START + 6 * SECOND, waited(2 * SECOND, program("kubelet", 5), worker("netns")));
    let raised =
        bench.at(START + 12 * SECOND, waited(17 * SECOND, program("cni", 6), tool_of("storm", 7)));
    let who = &raised[0].who;
    assert_eq!((who.context.comm, who.parent), (comm("ip"), Some((7, comm("storm")))));
    assert_eq!(who.context.cgroup, Some(9));
    let evidence = evidence(&raised[0]);
    let names = |shares: &[Share]| -> Vec<_> {
        shares.iter().map(|share| (share.name.clone(), share.pid, share.percent)).collect()
    };
    let name = String::from;
    assert_eq!(
        names(&evidence.holders),
        [(name("storm"), 7, 85), (name("netns cleanup"), 94, 10), (name("kubelet"), 5, 5)]
    );
    assert_eq!(
        names(&evidence.waiters),
        [(name("cni"), 6, 85), (name("kubelet"), 5, 10), (name("storm"), 7, 5)]
    );
    assert_eq!(evidence.holders[0].through.as_deref(), Some("ip"));
    assert_eq!(evidence.holders[2].through, None);
    assert_eq!(
        evidence.summary(),
        "tasks waited 20.0 s for the RTNL mutex in 60 s (3 waits, the longest 17.0 s); 85 % of it for \
         storm (through ip); cni waited most, 17.0 s"
    );
}

#[test]
fn short_lived_programs_of_one_name_are_one_agent() {
    let mut bench = bench();
    let waits =
        (0..20).map(|n| waited(SECOND, program("calico", 100 + n), program("calico", 200 + n)));
    let said: Vec<_> = waits.flat_map(|body| bench.at(START, body)).collect();
    let evidence = evidence(&said[0]);
    assert_eq!((evidence.waiters.len(), evidence.holders.len()), (1, 1));
    assert_eq!(evidence.holders[0].percent, 100);
}

#[test]
fn an_orphan_is_not_its_foster_parents() {
    let mut bench = bench();
    let orphan = Party { parent: Some((1, comm("systemd"))), ..program("ip", 40) };
    let raised = bench.at(START, waited(20 * SECOND, program("kubelet", 5), orphan));
    let holder = &evidence(&raised[0]).holders[0];
    assert_eq!((holder.name.as_str(), holder.pid, &holder.through), ("ip", 40, &None));
}

#[test]
fn agents_are_bounded_and_their_waits_still_count() {
    let mut bench = bench();
    let many = MOST_AGENTS as u32 + 10;
    for n in 0..many {
        bench.at(START, waited(MS, program(&format!("agent-{n}"), n), program("storm", 7)));
    }
    assert_eq!(bench.detector.tracked(), MOST_AGENTS + 1);
    assert_eq!(bench.detector.evicted(), 10);
    let raised = bench.at(START, some_wait(20 * SECOND));
    assert_eq!(evidence(&raised[0]).waits, u64::from(many) + 1);
    assert_eq!(evidence(&raised[0]).waiters.len(), 5);
    bench.tick(START + 10 * MINUTE);
    assert_eq!(bench.detector.tracked(), 0);
}

#[test]
fn time_may_stand_still_or_go_back_a_little() {
    let mut bench = bench();
    let short = || Body::Rtnl(RtnlWaits::Many { waits: 1, waited_ns: 8 * SECOND });
    assert!(bench.at(START, short()).is_empty());
    assert_eq!(bench.at(START - SECOND, short()).len(), 1, "another CPU's record comes late");
    assert_eq!(bench.at(0, some_wait(u64::MAX)).len(), 1);
    assert!(bench.tick(u64::MAX).is_empty());
    assert!(bench.tick(0).is_empty());
}

#[test]
fn records_keep_who_waited_and_who_had_the_mutex() {
    let waiter = rtnl::Party {
        cgroup_id: 9,
        tgid: 1_007,
        parent_tgid: 7,
        comm: comm("ip").0,
        parent_comm: comm("storm").0,
        work: [0; 16],
    };
    let holder = rtnl::Party {
        tgid: 94,
        comm: comm("kworker/u4:1").0,
        work: comm("netns").0,
        ..rtnl::Party::default()
    };
    let len = size_of::<RtnlWaitRecord>() as u16;
    let header = Header { kind: kind::RTNL_WAIT, len, ts_ns: START, ..Header::default() };
    let mut record = RtnlWaitRecord { header, waited_ns: 3, waiter, holder };
    let decoded = |record: &RtnlWaitRecord| decode::decode(decode::as_bytes(record)).unwrap().body;
    let had_it = Party { cgroup: None, ..worker("netns") };
    assert_eq!(decoded(&record), waited(3, tool_of("storm", 7), had_it));

    record.holder = rtnl::Party::default();
    let nobody = Wait { waited_ns: 3, waiter: tool_of("storm", 7), holder: None };
    assert_eq!(decoded(&record), Body::Rtnl(RtnlWaits::One(nobody)));

    let len = size_of::<RtnlShortRecord>() as u16;
    let header = Header { kind: kind::RTNL_SHORT, len, ..Header::default() };
    let record = RtnlShortRecord { header, waits: 4, waited_ns: 5 };
    let body = decode::decode(decode::as_bytes(&record)).unwrap().body;
    assert_eq!(body, Body::Rtnl(RtnlWaits::Many { waits: 4, waited_ns: 5 }));
}

#[test]
fn a_mutex_that_is_never_given_back_is_critical() {
    let mut bench = bench();
    let mut waits = |at: u64, ns: u64| {
        let wait =
            Wait { waited_ns: ns, waiter: program("kubelet", 5), holder: Some(worker("netns")) };
        let fact = Fact::RtnlWaiting(WaitingNow { tasks: 3, longest: wait });
        bench.at(at, Body::Polled(fact))
    };
    assert!(waits(START, 10 * SECOND - 1).is_empty());
    let raised = waits(START + SECOND, 11 * SECOND - 1);
    assert_eq!(verdicts(&raised), [("rtnl-pressure", Severity::Critical)]);
    assert_eq!(raised[0].who.context.pid, 94, "whoever had it when the first began to wait");
    let waiting = evidence(&raised[0]).waiting.as_ref().expect("waits");
    assert_eq!((waiting.tasks, waiting.longest_ms, waiting.waiter_pid), (3, 10_999, 5));
    assert!(evidence(&raised[0]).summary().starts_with(
        "3 tasks still wait for the RTNL mutex, the first for 10.9 s, since netns cleanup had it; tasks"
    ));
    assert_eq!(bench.tick(START + 4 * SECOND).len(), 1, "it holds");
    assert!(bench.tick(START + 5 * SECOND).is_empty(), "nobody waits any more");
}
