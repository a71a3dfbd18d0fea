use crate::{
    config::tc::TcConfig,
    event::{Body, BootNs},
    findings::Condition,
    signals::{
        tc::{
            Answer, Object, Operation, TcChange, TcRequest,
            evidence::{Asymmetry, TcEvidence},
            link::{CLSACT, EGRESS, INGRESS},
            tests::{bench, body, request, tc},
        },
        testing::{Bench, MINUTE, SECOND, comm},
    },
};

mod snapshot;

/// An interface with a clsact of its own making, and what `tc-asymmetry` says of it.
struct Link(Bench);

impl Link {
    fn new() -> Self {
        let mut link = Self(bench());
        link.clsact(SECOND, Operation::Write);
        link
    }

    fn send(&mut self, at: BootNs, request: TcRequest) {
        self.0.at(at, body(TcRequest { started_by: Some((40, comm("calico-node"))), ..request }));
    }

    fn clsact(&mut self, at: BootNs, operation: Operation) {
        self.send(
            at,
            TcRequest { object: Object::Qdisc, exclusive: true, ..at_parent(operation, CLSACT, 0) },
        );
    }

    fn add(&mut self, at: BootNs, parent: u32) {
        self.send(at, at_parent(Operation::Write, parent, 0));
    }

    fn delete(&mut self, at: BootNs, parent: u32, handle: u32) {
        self.send(at, at_parent(Operation::Delete, parent, handle));
    }

    fn replace(&mut self, at: BootNs, parent: u32, handle: u32) {
        self.send(at, at_parent(Operation::Write, parent, handle));
    }

    /// Calico before 3.28.5: add a filter, delete the old one.
    fn swap(&mut self, at: BootNs, parent: u32, old: u32) {
        self.add(at, parent);
        self.delete(at + 1_000_000, parent, old);
    }

    /// What a snapshot tells that looked for a millisecond from `at`.
    fn seed(&mut self, at: BootNs, filters: &[(u32, u32)]) {
        for (parent, handle) in filters {
            self.seeded(at, at_parent(Operation::Write, *parent, *handle));
        }
        self.seeded(
            at,
            TcRequest { object: Object::Qdisc, ..at_parent(Operation::Write, CLSACT, 0) },
        );
    }

    fn seeded(&mut self, at: BootNs, request: TcRequest) {
        let duration_ns = Some(1_000_000);
        self.0.at(
            at,
            Body::Tc(TcChange::Seeded(TcRequest { duration_ns, exclusive: true, ..request })),
        );
    }

    fn says(&mut self, now: BootNs) -> Vec<Asymmetry> {
        let all = self.0.tick(now);
        all.iter().filter_map(asymmetry).cloned().collect()
    }

    fn quiet_until(&mut self, end: BootNs) {
        for now in (0..=end / SECOND).map(|second| second * SECOND) {
            assert_eq!(self.says(now), [], "{} s", now / SECOND);
        }
    }
}

fn at_parent(operation: Operation, parent: u32, handle: u32) -> TcRequest {
    let prio = if parent == CLSACT { 0 } else { 49_152 };
    TcRequest { parent, prio, ..request(operation, handle) }
}

fn asymmetry(condition: &Condition) -> Option<&Asymmetry> {
    match tc(condition) {
        TcEvidence::Asymmetry(evidence) => Some(evidence),
        _ => None,
    }
}

/// (1,1), one side (2,1), then both, for ever: each rest is a disagreement.
#[test]
fn calicos_livelock_is_found_after_a_minute() {
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.swap(2 * SECOND, INGRESS, 1);
    let mut first = None;
    for cycle in 0..12 {
        let (at, odd) = (12 * SECOND + cycle * 10 * SECOND, cycle as u32 % 2);
        link.swap(at, INGRESS, 2 - odd);
        link.swap(at + 50_000_000, EGRESS, 1 + odd);
        for second in 1..10 {
            let said = link.says(at + second * SECOND);
            first =
                first.or_else(|| said.first().cloned().map(|said| (at + second * SECOND, said)));
        }
    }
    let (at, said) = first.expect("a finding");
    assert!((62 * SECOND..66 * SECOND).contains(&at), "{} s", at / SECOND);
    assert!(said.handles == [1, 2] || said.handles == [2, 1]);
    assert!(said.writes_since >= 10 && said.missing.is_none() && !said.success_assumed);
    let by = said.ingress.and_then(|last| last.by).expect("who wrote it");
    assert_eq!((by.pid, by.comm.as_deref()), (40, Some("calico-node")));
}

#[test]
fn directions_that_swap_in_phase_are_quiet() {
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    for cycle in 0..100 {
        let (at, odd) = (2 * SECOND + cycle * 10 * SECOND, cycle as u32 % 2);
        link.swap(at, INGRESS, 1 + odd);
        link.swap(at + 2 * SECOND, EGRESS, 1 + odd);
        for second in 3..9 {
            assert_eq!(link.says(at + second * SECOND), []);
        }
    }
}

/// projectcalico/calico#10376 after the fix of the livelock: replaced in place, never mended.
#[test]
fn a_frozen_mismatch_counts_while_writes_go_on() {
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.swap(10 * SECOND, INGRESS, 1);
    link.quiet_until(70 * SECOND);
    assert_eq!(link.says(80 * SECOND), [], "one side was updated and nobody writes");
    link.replace(81 * SECOND, INGRESS, 2);
    assert_eq!(link.says(82 * SECOND), [], "one write may be the other half of something");
    link.replace(83 * SECOND, EGRESS, 1);
    let said = link.says(84 * SECOND);
    assert_eq!((said[0].handles.as_slice(), said[0].seconds), (&[2, 1][..], 73));
    assert_eq!(link.says(143 * SECOND).len(), 1);
    assert_eq!(link.says(144 * SECOND), [], "the writes have ended");
}

#[test]
fn a_mismatch_is_quiet_up_to_the_limit() {
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.swap(10 * SECOND, INGRESS, 1);
    link.replace(20 * SECOND, INGRESS, 2);
    link.replace(40 * SECOND, EGRESS, 1);
    link.quiet_until(70 * SECOND);
    assert_eq!(link.says(71 * SECOND).len(), 1, "and not longer");
    link.swap(72 * SECOND, EGRESS, 1);
    assert_eq!(link.says(80 * SECOND), [], "mended");
}

#[test]
fn a_direction_that_went_missing_is_found_after_a_minute() {
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.delete(10 * SECOND, EGRESS, 1);
    link.quiet_until(70 * SECOND);
    let said = link.says(71 * SECOND);
    assert_eq!((said[0].missing, said[0].seconds), (Some("egress"), 61));
    assert_eq!(said[0].egress.as_ref().map(|last| last.what), Some("deleted"));
    assert_eq!(link.says(100 * MINUTE).len(), 1, "for as long as it is");
    link.add(101 * MINUTE, EGRESS);
    assert_eq!(link.says(102 * MINUTE), []);
}

#[test]
fn normal_life_is_quiet() {
    // One side of an update comes ten seconds later.
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.delete(10 * SECOND, INGRESS, 1);
    link.add(20 * SECOND, INGRESS);
    link.quiet_until(5 * MINUTE);
    // An interface that only ever had one direction.
    let mut link = Link::new();
    for n in 0..20 {
        link.replace(n * 10 * SECOND, INGRESS, 1);
    }
    link.quiet_until(5 * MINUTE);
    // The clsact goes, with both.
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.clsact(2 * SECOND, Operation::Delete);
    link.quiet_until(5 * MINUTE);
    // The interface goes while one is missing.
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.delete(2 * SECOND, EGRESS, 0);
    link.0.at(3 * SECOND, Body::Tc(TcChange::LinkGone { ifindex: 3 }));
    link.quiet_until(5 * MINUTE);
}

#[test]
fn handles_that_were_asked_for_and_filters_that_moved_are_quiet() {
    let mut link = Link::new();
    for n in 0..30 {
        link.replace(n * 10 * SECOND, INGRESS, 1);
        link.replace(n * 10 * SECOND, EGRESS, 2);
    }
    link.quiet_until(5 * MINUTE);
    // To a priority that the kernel chose.
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.send(2 * SECOND, TcRequest { prio: 0, ..at_parent(Operation::Write, INGRESS, 0) });
    link.delete(3 * SECOND, INGRESS, 0);
    link.quiet_until(5 * MINUTE);
}

#[test]
fn what_is_not_known_exactly_is_not_judged() {
    let mut link = Link(bench());
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    link.delete(2 * SECOND, EGRESS, 1);
    link.quiet_until(5 * MINUTE);
    // A clsact that may have been there, with filters.
    let clsact = TcRequest { object: Object::Qdisc, ..at_parent(Operation::Write, CLSACT, 0) };
    link.send(6 * MINUTE, clsact);
    link.add(6 * MINUTE, EGRESS);
    link.delete(7 * MINUTE, EGRESS, 1);
    link.quiet_until(10 * MINUTE);
}

#[test]
fn assumed_success_says_so_and_is_not_upheld_for_ever() {
    let mut link = Link::new();
    link.add(SECOND, INGRESS);
    link.add(SECOND, EGRESS);
    let answer = Answer::Unknown;
    link.send(2 * SECOND, TcRequest { answer, ..at_parent(Operation::Delete, EGRESS, 1) });
    link.quiet_until(62 * SECOND);
    assert!(link.says(63 * SECOND)[0].success_assumed);
    assert_eq!(link.says(10 * MINUTE), [], "on that rung no interface is seen to go");
}

#[test]
fn the_limit_is_configured() {
    assert_eq!(TcConfig::default().asymmetry.ns(), MINUTE);
}
