use crate::{
    config::tc::TcConfig,
    event::Body,
    findings::{Condition, Evidence, Interface, Severity},
    signals::{
        tc::{
            Answer, Object, Operation, TcChange, TcRequest,
            detect::TcDetector,
            evidence::{Rewrites, TcEvidence},
            link::{EGRESS, INGRESS},
            programs::Bpf,
        },
        testing::{Bench, MINUTE, SECOND, comm, verdicts},
    },
};

mod gap;

pub fn bench() -> Bench {
    Bench::new(Box::new(TcDetector::new(&TcConfig::default())))
}

pub fn request(operation: Operation, handle: u32) -> TcRequest {
    TcRequest {
        operation,
        object: Object::Filter,
        answer: Answer::Done,
        netns_cookie: 1,
        interface: Interface { index: 3, name: Some("cali1".into()) },
        parent: INGRESS,
        prio: 49_152,
        handle,
        exclusive: false,
        kind: Some("bpf".into()),
        message: None,
        duration_ns: None,
        started_by: None,
        writer_start: None,
        starter_start: None,
        bpf: Bpf::default(),
    }
}

pub fn body(request: TcRequest) -> Body {
    Body::Tc(TcChange::Request(request))
}

pub fn write() -> Body {
    body(request(Operation::Write, 0))
}

pub fn tc(condition: &Condition) -> &TcEvidence {
    match &condition.evidence {
        Evidence::Tc(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

fn evidence(condition: &Condition) -> &Rewrites {
    match tc(condition) {
        TcEvidence::Rewrites(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn four_writes_in_a_minute_warn_and_twelve_are_critical() {
    let mut bench = bench();
    for n in 1..=3 {
        assert!(bench.at(n * SECOND, write()).is_empty(), "write {n}");
    }
    let warned = bench.at(4 * SECOND, write());
    assert_eq!(verdicts(&warned), [("tc-rewrite-rate", Severity::Warning)]);
    assert_eq!(evidence(&warned[0]).writes, 4);
    assert_eq!(evidence(&warned[0]).parent, "ingress");
    for n in 5..=11 {
        assert!(bench.at(n * SECOND, write()).is_empty(), "raised once");
    }
    let critical = bench.at(12 * SECOND, write());
    assert_eq!(verdicts(&critical), [("tc-rewrite-rate", Severity::Critical)]);
    assert_eq!(bench.tick(13 * SECOND).len(), 1, "holds while the window has it");
    assert!(bench.tick(80 * SECOND).is_empty(), "and no longer");
}

#[test]
fn slow_writes_are_quiet() {
    let mut bench = bench();
    for n in 0..200 {
        assert!(bench.at(n * 21 * SECOND, write()).is_empty(), "three a minute is below the line");
        assert!(bench.tick(n * 21 * SECOND + 1).is_empty());
    }
}

#[test]
fn a_restart_of_the_agent_and_pod_churn_are_quiet() {
    let mut bench = bench();
    for interface in 0..100 {
        for (parent, prio) in [(0xffff_fff1, 0), (INGRESS, 49_152), (EGRESS, 49_152)] {
            for restart in 0..2u64 {
                let mut request = request(Operation::Write, 0);
                request.interface =
                    Interface { index: interface, name: Some(format!("cali{interface}")) };
                (request.parent, request.prio) = (parent, prio);
                assert!(bench.at(restart * SECOND, body(request)).is_empty());
            }
        }
    }
    assert!(bench.tick(2 * SECOND).is_empty());
}

/// Calico before 3.28.5: add at handle 0, delete the old one by its handle.
#[test]
fn handles_that_take_turns_are_critical() {
    let mut bench = bench();
    let mut raised = Vec::new();
    for cycle in 0..6u64 {
        // The slowest that was seen: six cycles a minute.
        let at = cycle * 10 * SECOND;
        raised.extend(bench.at(at, write()));
        raised.extend(bench.at(at + 1, body(request(Operation::Delete, 1 + (cycle % 2) as u32))));
    }
    let expected =
        [("tc-rewrite-rate", Severity::Warning), ("tc-handle-toggle", Severity::Critical)];
    assert_eq!(verdicts(&raised), expected);
    assert_eq!(evidence(&raised[1]).handles, [1, 2]);
    assert_eq!(evidence(&raised[1]).toggles, 3);
}

#[test]
fn explicit_handles_that_take_turns_are_critical_too() {
    let mut bench = bench();
    let mut raised = Vec::new();
    for (n, handle) in (0..).zip([1, 2, 1, 2, 1]) {
        raised.extend(bench.at(n * SECOND, body(request(Operation::Write, handle))));
    }
    assert!(verdicts(&raised).contains(&("tc-handle-toggle", Severity::Critical)));
}

#[test]
fn one_handle_or_ever_new_ones_do_not_toggle() {
    let mut bench = bench();
    for n in 0..50u32 {
        let at = u64::from(n) * 25 * SECOND;
        assert!(bench.at(at, body(request(Operation::Delete, 1))).is_empty());
        let mut other = request(Operation::Delete, n + 1);
        other.prio = 1;
        assert!(bench.at(at, body(other)).is_empty());
    }
}

#[test]
fn ten_failures_without_a_success_warn() {
    for answer in [Answer::Failed(libc::EEXIST), Answer::Refused] {
        let mut bench = bench();
        let message = Some("Exclusivity flag on, cannot modify".to_owned());
        let failed = TcRequest { answer, message, ..request(Operation::Write, 0) };
        for n in 0..9 {
            assert!(bench.at(n * SECOND, body(failed.clone())).is_empty());
        }
        let raised = bench.at(9 * SECOND, body(failed.clone()));
        assert_eq!(verdicts(&raised), [("tc-attach-failing", Severity::Warning)]);
        let TcEvidence::Failing(evidence) = tc(&raised[0]) else { panic!("{raised:?}") };
        assert_eq!(evidence.failures, 10);
        assert_eq!(evidence.errno, (answer != Answer::Refused).then_some("EEXIST"));
        assert!(evidence.message.as_deref().is_some_and(|m| m.starts_with("Exclusivity")));
        assert!(bench.at(10 * SECOND, body(failed)).is_empty(), "once");
        assert_eq!(bench.tick(11 * SECOND).len(), 1, "holds");
        assert!(bench.at(12 * SECOND, write()).is_empty());
        assert!(bench.tick(13 * SECOND).is_empty(), "a success ends it");
    }
}

#[test]
fn a_failure_now_and_then_is_quiet() {
    let mut bench = bench();
    for n in 0..200 {
        let answer = Answer::Failed(libc::EEXIST);
        let failed = TcRequest { answer, ..request(Operation::Write, 0) };
        assert!(bench.at(n * 7 * SECOND, body(failed)).is_empty(), "nine a minute");
    }
    let answer = Answer::Failed(libc::ENOENT);
    for n in 0..50 {
        let failed = TcRequest { answer, ..request(Operation::Delete, 0) };
        assert!(bench.at(n, body(failed)).is_empty(), "what is gone is gone");
    }
}

#[test]
fn filters_without_a_priority_pile_up() {
    let mut bench = bench();
    let add = || body(TcRequest { prio: 0, ..request(Operation::Write, 0) });
    for n in 0..3 {
        assert!(bench.at(n * SECOND, add()).is_empty());
        bench.tick(n * SECOND + 1);
    }
    let raised = bench.at(40 * SECOND, add());
    assert_eq!(verdicts(&raised), [("tc-prio-leak", Severity::Warning)]);
    assert!(matches!(tc(&raised[0]), TcEvidence::PrioLeak(leak) if leak.filters == 4));
    assert_eq!(bench.tick(400 * MINUTE).len(), 1, "for as long as they are there");
    let delete = TcRequest { prio: 49_151, ..request(Operation::Delete, 1) };
    bench.at(401 * MINUTE, body(delete));
    assert!(bench.tick(402 * MINUTE).is_empty());
}

#[test]
fn filters_without_a_priority_that_are_deleted_are_quiet() {
    let mut bench = bench();
    for n in 0..50 {
        let at = n * 10 * MINUTE;
        assert!(
            bench.at(at, body(TcRequest { prio: 0, ..request(Operation::Write, 0) })).is_empty()
        );
        let delete = TcRequest { prio: 49_152, ..request(Operation::Delete, 1) };
        assert!(bench.at(at + SECOND, body(delete)).is_empty());
    }
}

/// aquasecurity/tracee#1828: an agent that leaves deletes the whole clsact.
#[test]
fn a_stranger_that_deletes_the_clsact_is_named_with_its_victim() {
    let by = |name: &str, request: TcRequest| {
        body(TcRequest { started_by: Some((u32::from(name.as_bytes()[0]), comm(name))), ..request })
    };
    let clsact = TcRequest {
        object: Object::Qdisc,
        parent: 0xffff_fff1,
        prio: 0,
        ..request(Operation::Delete, 0xffff_0000)
    };
    let mut bench = bench();
    bench.at(SECOND, by("calico-node", request(Operation::Write, 0)));
    let raised = bench.at(61 * SECOND, by("tracee", clsact.clone()));
    assert_eq!(verdicts(&raised), [("tc-foreign-removal", Severity::Warning)]);
    assert_eq!(raised[0].who.parent.map(|(_, comm)| comm), Some(comm("tracee")));
    let TcEvidence::ForeignRemoval(evidence) = tc(&raised[0]) else { panic!("{raised:?}") };
    assert_eq!(evidence.victim.comm.as_deref(), Some("calico-node"));
    assert_eq!((evidence.removed, evidence.parent.as_str()), ("qdisc", "clsact"));
    assert_eq!((evidence.attached_seconds_ago, evidence.removals_total), (60, 1));
    assert_eq!(bench.tick(62 * SECOND).len(), 1);
    assert!(bench.tick(200 * SECOND).is_empty());

    bench.at(300 * SECOND, by("calico-node", request(Operation::Write, 0)));
    assert!(bench.at(301 * SECOND, by("calico-node", clsact)).is_empty(), "its own");
}

#[test]
fn an_assumed_success_counts_and_says_so() {
    let mut bench = bench();
    let unknown = TcRequest { answer: Answer::Unknown, ..request(Operation::Write, 0) };
    let raised: Vec<_> = (0..4).flat_map(|n| bench.at(n, body(unknown.clone()))).collect();
    assert_eq!(verdicts(&raised), [("tc-rewrite-rate", Severity::Warning)]);
    assert!(evidence(&raised[0]).success_assumed);
}

/// The first interface of every pod has index 2 and the name eth0; namespaces' inodes are reused.
#[test]
fn reused_ids_are_not_one_interface() {
    let churn = |forget: &dyn Fn(&mut Bench, u64, &mut TcRequest)| {
        let mut bench = bench();
        (0..20)
            .flat_map(|pod| {
                let mut request = request(Operation::Write, 0);
                forget(&mut bench, pod, &mut request);
                bench.at(pod * SECOND, body(request))
            })
            .count()
    };
    assert_eq!(churn(&|_, pod, request| request.netns_cookie = pod), 0, "cookie");
    assert_eq!(
        churn(&|_, pod, request| request.interface.name = Some(format!("eth{pod}"))),
        0,
        "name"
    );
    let gone = Body::Tc(TcChange::LinkGone { ifindex: 3 });
    assert_eq!(churn(&|bench, pod, _| drop(bench.at(pod * SECOND, gone.clone()))), 0, "link gone");
    assert_eq!(churn(&|_, _, _| {}), 2, "the same one does warn");
}

#[test]
fn state_is_bounded_and_old_state_goes() {
    let mut bench = bench();
    for index in 0..20_000 {
        let mut request = request(Operation::Write, 0);
        request.interface.index = index;
        bench.at(index as u64, body(request));
    }
    assert_eq!(bench.detector.tracked(), 2 * 6_000 + 2 * 2_048, "slots, points, interfaces");
    assert_eq!(bench.detector.evicted(), 2 * 14_000 + 2 * (20_000 - 2_048));
    bench.tick(1_000 * SECOND);
    assert_eq!(bench.detector.tracked(), 6_000 + 2 * 2_048, "owners stay until the interface goes");
}
