use crate::{
    findings::{Condition, Severity},
    signals::{
        tc::{
            Answer, Object, Operation, TcRequest,
            evidence::TcEvidence,
            link::CLSACT,
            tests::{bench, body, request, tc},
        },
        testing::{Bench, SECOND, comm, verdicts},
    },
};

fn write(handle: u32) -> TcRequest {
    TcRequest { prio: 1, ..request(Operation::Write, handle) }
}

fn by(bench: &mut Bench, second: u64, name: &str, request: TcRequest) -> Vec<Condition> {
    let started_by = Some((second as u32 + 100, comm(name)));
    bench.at(second * SECOND, body(TcRequest { started_by, ..request }))
}

/// cilium/cilium#21345 with DataDog/datadog-agent#13692.
#[test]
fn a_filter_in_the_place_of_anothers_names_both() {
    let mut bench = bench();
    assert!(by(&mut bench, 1, "cilium-agent", write(1)).is_empty());
    let raised = by(&mut bench, 31, "system-probe", write(1));
    assert_eq!(verdicts(&raised), [("tc-foreign-overwrite", Severity::Warning)]);
    let TcEvidence::ForeignRemoval(evidence) = tc(&raised[0]) else { panic!("{raised:?}") };
    assert_eq!((evidence.victim.pid, evidence.victim.comm.as_deref()), (101, Some("cilium-agent")));
    assert_eq!((evidence.removed, evidence.overwritten), ("filter", true));
    assert_eq!((evidence.attached_seconds_ago, evidence.success_assumed), (30, false));
    let back =
        by(&mut bench, 40, "cilium-agent", TcRequest { answer: Answer::Unknown, ..write(1) });
    let TcEvidence::ForeignRemoval(evidence) = tc(&back[0]) else { panic!("{back:?}") };
    assert_eq!(evidence.victim.comm.as_deref(), Some("system-probe"));
    assert_eq!((evidence.removals_total, evidence.success_assumed), (2, true));
    assert_eq!(verdicts(&bench.tick(100 * SECOND)), [("tc-foreign-overwrite", Severity::Warning)]);
    assert!(bench.tick(101 * SECOND).is_empty(), "for as long as the window");
}

#[test]
fn what_takes_nobodys_place_is_quiet() {
    let mut bench = bench();
    let mut quiet = |second, name, request| {
        assert!(by(&mut bench, second, name, request).is_empty(), "{second}");
    };
    quiet(1, "cilium-agent", write(1));
    quiet(61, "cilium-agent", write(1));
    quiet(121, "system-probe", write(2));
    quiet(122, "system-probe", TcRequest { prio: 2, ..write(1) });
    quiet(123, "system-probe", TcRequest { prio: 0, ..write(0) });
    quiet(124, "tracee", TcRequest { prio: 0, ..write(0) });
    quiet(125, "tracee", TcRequest { answer: Answer::Failed(libc::EEXIST), ..write(1) });
}

/// With handle 0 the kernel chooses; where the clsact's beginning was seen, it is known what.
#[test]
fn a_handle_that_the_kernel_chose_is_followed() {
    let clsact = |operation| TcRequest {
        object: Object::Qdisc,
        parent: CLSACT,
        prio: 0,
        exclusive: true,
        ..request(operation, 0)
    };
    for (known, found) in [(true, 1), (false, 0)] {
        let mut bench = bench();
        if known {
            by(&mut bench, 1, "cilium-agent", clsact(Operation::Write));
        }
        by(&mut bench, 2, "cilium-agent", write(0));
        assert!(by(&mut bench, 3, "system-probe", write(2)).is_empty());
        assert_eq!(by(&mut bench, 4, "tracee", write(1)).len(), found);
    }
}

/// An agent that is killed leaves a `tc` behind, which init adopts and which still does its work.
#[test]
fn what_an_orphan_does_is_nobodys_doing() {
    let mut bench = bench();
    by(&mut bench, 40, "calico-node", write(1));
    for (pid, name) in [(1, "init"), (77, "containerd-shim")] {
        let started_by = Some((pid, comm(name)));
        let orphan = TcRequest { started_by, ..write(1) };
        assert!(bench.at(50 * SECOND, body(orphan)).is_empty(), "{name}");
        let delete = TcRequest { operation: Operation::Delete, started_by, ..write(1) };
        assert!(bench.at(51 * SECOND, body(delete)).is_empty(), "{name}");
    }
}
