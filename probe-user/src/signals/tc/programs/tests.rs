use super::*;
use crate::{
    config::tc::TcConfig,
    decode::as_bytes,
    findings::{Condition, Evidence, Severity},
    signals::{
        tc::{detect::TcDetector, evidence::TcEvidence},
        testing::{Bench, SECOND, comm, verdicts},
    },
};

fn bench() -> Bench {
    Bench::new(Box::new(TcDetector::new(&TcConfig::default())))
}

fn program(id: u32, name: &str) -> Option<Box<Program>> {
    Some(Box::new(Program { id, name: comm(name), tag: [0xab; 8], source: None }))
}

/// `from_container` at the tcx ingress of cali1, by the bench's own process.
fn request(operation: Operation, id: u32) -> TcRequest {
    TcRequest {
        operation,
        object: Object::Program,
        answer: Answer::Done,
        netns_cookie: 1,
        interface: Interface { index: 3, name: Some("cali1".into()) },
        parent: TCX_INGRESS,
        prio: 0,
        handle: 0,
        exclusive: false,
        kind: None,
        message: None,
        duration_ns: None,
        started_by: None,
        writer_start: None,
        starter_start: None,
        bpf: Bpf { program: program(id, "from_container"), ..Bpf::default() },
    }
}

fn linked(operation: Operation, id: u32, link: u32) -> TcRequest {
    let mut request = request(operation, id);
    request.bpf.link = Some(link);
    request
}

fn body(request: TcRequest) -> Body {
    Body::Tc(TcChange::Request(request))
}

fn by(bench: &mut Bench, name: &str, at: u64, request: TcRequest) -> Vec<Condition> {
    bench.context.comm = comm(name);
    bench.context.pid = u32::from(name.as_bytes()[0]);
    bench.at(at, body(request))
}

fn record() -> TcBpfRecord {
    TcBpfRecord {
        header: Header { kind: probe_common::wire::kind::TC_BPF_ATTACH, ..Header::default() },
        operation: operation::ATTACH,
        point: point::TCX_EGRESS,
        ret: -17,
        ifindex: 3,
        link_id: 9,
        replaced_id: 8,
        parent_tgid: 39,
        netns_cookie: 5,
        by_kernel: 1,
        program: ProgramRecord { id: 12, tag: [0xab; 8], name: comm("pass").0 },
        parent_comm: comm("agent").0,
        ifname: comm("cali1").0,
        message: [0; 96],
    }
}

fn decoded(record: &TcBpfRecord) -> TcRequest {
    match decode(&record.header, as_bytes(record)).expect("decodes") {
        Body::Tc(TcChange::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_keeps_every_field() {
    let request = decoded(&record());
    assert_eq!((request.operation, request.object), (Operation::Write, Object::Program));
    assert_eq!(request.answer, Answer::Failed(libc::EEXIST));
    assert_eq!((request.interface.index, request.interface.name.as_deref()), (3, Some("cali1")));
    assert_eq!(point_name(request.parent), Some("tcx egress"));
    assert_eq!((request.netns_cookie, request.message), (5, None));
    assert_eq!(request.started_by, Some((39, comm("agent"))));
    assert_eq!(request.bpf.program, program(12, "pass"));
    assert_eq!((request.bpf.link, request.bpf.replaced), (Some(9), Some(8)));
    assert!(request.bpf.by_kernel);
    assert!(decode(&record().header, &[0; 20]).is_err(), "cut short");
}

#[test]
fn a_new_links_fd_is_a_success_and_zero_is_unknown() {
    let known = TcBpfRecord { ret: 7, ..record() };
    assert_eq!(decoded(&known).answer, Answer::Done);
    let unknown =
        TcBpfRecord { program: ProgramRecord::default(), link_id: 0, point: 99, ..record() };
    let request = decoded(&unknown);
    assert_eq!((request.bpf.program.as_ref(), request.bpf.link), (None, None));
    assert_eq!((request.place(), point_name(request.parent)), (Place::Unknown, Some("unknown")));
    let detach = TcBpfRecord { operation: operation::DETACH, point: point::XDP, ..record() };
    let request = decoded(&detach);
    assert_eq!((request.operation, request.place()), (Operation::Delete, Place::Only));
}

#[test]
fn four_attachments_of_one_program_in_a_minute_warn() {
    let mut bench = bench();
    for n in 1..=3 {
        assert!(bench.at(n * SECOND, body(request(Operation::Write, n as u32))).is_empty());
        bench.at(n * SECOND + 1, body(request(Operation::Delete, n as u32)));
    }
    let raised = bench.at(4 * SECOND, body(request(Operation::Write, 4)));
    assert_eq!(verdicts(&raised), [("tc-rewrite-rate", Severity::Warning)]);
    let Evidence::Tc(TcEvidence::Rewrites(evidence)) = &raised[0].evidence else {
        panic!("{raised:?}")
    };
    assert_eq!((evidence.writes, evidence.parent.as_str()), (4, "tcx ingress"));
    let named = evidence.program.as_ref().expect("a program");
    assert_eq!((named.id, named.name.as_deref()), (4, Some("from_container")));
    assert_eq!(named.tag, "abababababababab");
}

#[test]
fn several_agents_at_one_point_are_quiet() {
    let mut bench = bench();
    for (id, name) in
        (1..).zip(["cil_from_netdev", "cali_to_wep", "tracee", "dd_ingress", "hubble"])
    {
        let mut request = request(Operation::Write, id);
        request.bpf.program = program(id, name);
        assert!(by(&mut bench, name, u64::from(id), request).is_empty(), "{name}");
    }
    assert!(bench.tick(100 * SECOND).is_empty());
}

#[test]
fn a_copy_that_stays_warns_until_it_is_gone() {
    let mut bench = bench();
    bench.at(SECOND, body(linked(Operation::Write, 1, 11)));
    bench.at(100 * SECOND, body(linked(Operation::Write, 2, 12)));
    assert!(bench.tick(109 * SECOND).is_empty(), "the old one may still go");
    let raised = bench.tick(110 * SECOND);
    assert_eq!(verdicts(&raised), [("tc-duplicate-program", Severity::Warning)]);
    let Evidence::Tc(TcEvidence::Duplicates(evidence)) = &raised[0].evidence else {
        panic!("{raised:?}")
    };
    assert_eq!((evidence.copies, evidence.parent.as_str()), (2, "tcx ingress"));
    let links: Vec<_> = evidence.attached.iter().map(|copy| copy.link_id).collect();
    assert_eq!(links, [Some(12), Some(11)]);
    assert_eq!(evidence.attached[1].attached_seconds_ago, 109);
    bench.at(111 * SECOND, body(linked(Operation::Delete, 1, 11)));
    assert!(bench.tick(112 * SECOND).is_empty());
}

#[test]
fn what_is_no_copy_is_quiet() {
    let mut bench = bench();
    // Replaced in place: by BPF_F_REPLACE, and by an update of the link.
    bench.at(1, body(request(Operation::Write, 1)));
    let mut replacing = request(Operation::Write, 2);
    replacing.bpf.replaced = Some(1);
    bench.at(2, body(replacing));
    let mut other = linked(Operation::Write, 3, 11);
    other.parent = TCX_EGRESS;
    bench.at(3, body(other.clone()));
    other.bpf.program = program(4, "from_container");
    bench.at(4, body(other));
    // Another agent's program of that name, with other code; and a program without a name.
    let mut namesake = request(Operation::Write, 5);
    namesake.bpf.program =
        program(5, "from_container").map(|p| Box::new(Program { tag: [1; 8], ..*p }));
    by(&mut bench, "hubble", 5, namesake);
    for id in [6, 7] {
        let mut nameless = request(Operation::Write, id);
        nameless.bpf.program =
            program(id, "").map(|p| Box::new(Program { tag: [id as u8; 8], ..*p }));
        bench.at(6, body(nameless));
    }
    assert!(bench.tick(100 * SECOND).is_empty());
    assert!(bench.detector.tracked() > 0);
    bench.at(101 * SECOND, Body::Tc(TcChange::LinkGone { ifindex: 3 }));
    bench.at(101 * SECOND, body(request(Operation::Write, 8)));
    bench.tick(1_000 * SECOND);
    assert!(bench.tick(1_000 * SECOND).is_empty(), "those before went with the interface");
}

#[test]
fn who_detaches_anothers_program_is_named_and_its_own_is_not() {
    let mut bench = bench();
    by(&mut bench, "cilium-agent", SECOND, request(Operation::Write, 1));
    by(&mut bench, "tracee", 2 * SECOND, request(Operation::Write, 2));
    let own = by(&mut bench, "tracee", 3 * SECOND, request(Operation::Delete, 2));
    assert!(own.is_empty(), "others share the point");
    let mut unknown = request(Operation::Delete, 0);
    unknown.bpf.program = None;
    assert!(by(&mut bench, "tracee", 4 * SECOND, unknown).is_empty(), "which one is not known");
    let raised = by(&mut bench, "tracee", 5 * SECOND, request(Operation::Delete, 1));
    assert_eq!(verdicts(&raised), [("tc-foreign-removal", Severity::Warning)]);
    let Evidence::Tc(TcEvidence::ForeignRemoval(evidence)) = &raised[0].evidence else {
        panic!("{raised:?}")
    };
    assert_eq!((evidence.removed, evidence.parent.as_str()), ("program", "tcx ingress"));
    assert_eq!(evidence.victim.comm.as_deref(), Some("cilium-agent"));
}

#[test]
fn a_link_the_kernel_drops_has_no_culprit_and_a_replacement_has() {
    let mut bench = bench();
    by(&mut bench, "cilium-agent", SECOND, linked(Operation::Write, 1, 11));
    let mut dropped = linked(Operation::Delete, 1, 11);
    dropped.bpf.by_kernel = true;
    assert!(by(&mut bench, "kworker/0:1", 2 * SECOND, dropped).is_empty());

    by(&mut bench, "cilium-agent", 3 * SECOND, request(Operation::Write, 2));
    let mut replacing = request(Operation::Write, 3);
    replacing.bpf.replaced = Some(2);
    let raised = by(&mut bench, "tracee", 4 * SECOND, replacing);
    assert_eq!(verdicts(&raised), [("tc-foreign-overwrite", Severity::Warning)]);
}

#[test]
fn xdp_has_one_program_at_a_time() {
    let mut bench = bench();
    let xdp = |operation, id| TcRequest { parent: XDP, ..request(operation, id) };
    by(&mut bench, "cilium-agent", SECOND, xdp(Operation::Write, 1));
    by(&mut bench, "cilium-agent", 2 * SECOND, xdp(Operation::Write, 2));
    assert!(bench.tick(100 * SECOND).is_empty(), "no copy");
    // `ip link set dev cali1 xdp off` names no program.
    let mut off = xdp(Operation::Delete, 0);
    off.bpf.program = None;
    let raised = by(&mut bench, "ip", 101 * SECOND, off);
    assert_eq!(verdicts(&raised), [("tc-foreign-removal", Severity::Warning)]);
}

#[test]
fn a_thread_of_the_agent_by_another_name_is_no_stranger() {
    let mut bench = bench();
    by(&mut bench, "tokio-runtime-w", SECOND, linked(Operation::Write, 1, 11));
    assert!(by(&mut bench, "the-agent", 2 * SECOND, linked(Operation::Delete, 1, 11)).is_empty());
}
