//! What happens at each attach point: an interface and a parent (ingress, egress, root, ...).

use super::{
    Answer, Operation, TcRequest,
    evidence::{Failing, PrioLeak, ProgramEvidence, TcEvidence, parent_name},
    foreign::Harms,
    link::{CLSACT, EGRESS, INGRESS, hash},
    note_who,
    owners::{Agent, Owners, Removed, Written},
    point::Point,
    rules::{ATTACH_FAILING, PRIO_LEAK},
    who,
};
use crate::{
    config::tc::TcConfig,
    errno,
    event::{BootNs, Event},
    findings::{Condition, Evidence, Rule, Severity, Who},
    signals::{
        bounded::{Aged, Bounded},
        window::Window,
    },
};

/// Attach points remembered at once: 2,000 interfaces with clsact and both directions.
const MOST_POINTS: usize = 6_000;

struct State {
    /// Refused writes since the last accepted one.
    failures: Window,
    failing: Option<(Who, Failing)>,
    /// When the last write was accepted.
    accepted: BootNs,
    /// Filters added without a priority and not deleted.
    without_prio: u64,
    /// How many of these a snapshot found.
    seeded: u64,
    owners: Owners,
    harms: Harms,
    latest: BootNs,
    who: Who,
}

/// Every attach point with requests.
pub struct Points {
    points: Bounded<Point, State>,
}

impl Default for Points {
    fn default() -> Self {
        Self { points: Bounded::new(MOST_POINTS) }
    }
}

impl Aged for State {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Points {
    /// Takes a request that worked, and the filter it wrote, if any.
    pub fn done(
        &mut self,
        event: &Event,
        request: &TcRequest,
        written: Written,
        config: &TcConfig,
        out: &mut Vec<Condition>,
    ) {
        let point = self.point(event, request, config);
        let (now, agent) = (event.context.at, Agent::behind(event, request));
        match request.operation {
            Operation::Write => {
                let Some(state) = self.points.get_mut(&point) else { return };
                state.failures = Window::new(capacity(config));
                state.failing = None;
                state.accepted = state.accepted.max(now);
                let victim = state.owners.attach(written, agent, now);
                out.extend(
                    victim.map(|victim| {
                        state.harms.done(hash(point), event, request, &victim, config)
                    }),
                );
                if request.lets_the_kernel_choose() && request.kind.as_deref() == Some("bpf") {
                    let before = state.without_prio;
                    state.without_prio += event.count() as u64;
                    if (before + 1..=state.without_prio).contains(&(config.prio_leak as u64)) {
                        out.push(state.prio_leak(&point, config, now));
                    }
                }
            }
            Operation::Delete => {
                // A clsact takes the filters of both directions with it.
                let parents: &[u32] = match point.parent {
                    CLSACT => &[CLSACT, INGRESS, EGRESS],
                    _ => &[point.parent],
                };
                let removed = Removed::by(request);
                let hits = parents.iter().filter_map(|parent| {
                    let state = self.points.get_mut(&Point { parent: *parent, ..point })?;
                    state.without_prio = match removed {
                        Removed::All => 0,
                        _ => state.without_prio.saturating_sub(event.count() as u64),
                    };
                    state.owners.remove(removed, agent)
                });
                // Who dropped the last reference to a link that the kernel detaches is not known.
                let hits = hits.filter(|_| !request.bpf.by_kernel);
                let victim = hits.max_by_key(|owner| owner.at);
                let state = self.points.get_mut(&point);
                out.extend(state.zip(victim).map(|(state, victim)| {
                    state.harms.done(hash(point), event, request, &victim, config)
                }));
            }
        }
    }

    /// Takes how many filters of each direction a snapshot of an interface found piled up.
    pub fn seed(
        &mut self,
        event: &Event,
        request: &TcRequest,
        piled_up: [usize; 2],
        config: &TcConfig,
    ) {
        for (parent, filters) in [INGRESS, EGRESS].into_iter().zip(piled_up) {
            // One alone is what everybody has.
            if filters > 1 {
                let request = TcRequest { parent, ..request.clone() };
                let point = self.point(event, &request, config);
                if let Some(state) = self.points.get_mut(&point) {
                    state.seeded = filters as u64;
                    state.without_prio = state.without_prio.max(state.seeded);
                }
            }
        }
    }

    /// Takes a request that did not work.
    pub fn failed(
        &mut self,
        event: &Event,
        request: &TcRequest,
        config: &TcConfig,
        out: &mut Vec<Condition>,
    ) {
        if request.operation == Operation::Delete {
            return;
        }
        let point = self.point(event, request, config);
        let Some(state) = self.points.get_mut(&point) else { return };
        let (now, window) = (event.context.at, config.window.ns());
        // Those of a sum came from then on: some of them before a write that was accepted later.
        let events = if state.accepted < now { event.count() } else { 1 };
        state.failures.push_many(now, events);
        let failures = state.failures.count(now, window);
        let raised = state.failing.is_some();
        let failing = Failing {
            failures: failures as u64,
            window_seconds: window / 1_000_000_000,
            parent: parent_name(point.parent),
            kind: request.kind.clone(),
            errno: match request.answer {
                Answer::Failed(errno) => Some(errno::name(errno)),
                Answer::Done | Answer::Unknown | Answer::Refused => None,
            },
            message: request.message.clone(),
            program: request.bpf.program.as_deref().map(ProgramEvidence::of),
        };
        if failures >= config.failing_writes {
            state.failing = Some((who(event, request), failing));
            if !raised {
                out.extend(state.attach_failing(&point, config, now));
            }
        }
    }

    /// Goes by other thresholds from now on.
    pub fn reconfigure(&mut self, config: &TcConfig) {
        self.points.values_mut().for_each(|state| state.failures.resize(capacity(config)));
    }

    /// Forgets what is attached and whose it is: something was missed.
    pub fn forget(&mut self, config: &TcConfig) {
        self.points.retain(|_, state| {
            state.failures = Window::new(capacity(config));
            (state.failing, state.without_prio, state.seeded) = (None, 0, 0);
            state.owners = Owners::default();
            true
        });
    }

    /// Forgets an interface that is gone.
    pub fn link_gone(&mut self, netns: u32, ifindex: i32) {
        self.points.retain(|point, _| !point.link.is(netns, ifindex));
    }

    /// Renews what holds.
    pub fn tick(&mut self, now: BootNs, config: &TcConfig, out: &mut Vec<Condition>) {
        let window = config.window.ns();
        self.points.retain(|point, state| {
            if state.failures.count(now, window) < config.failing_writes {
                state.failing = None;
            }
            out.extend(state.attach_failing(point, config, now));
            if state.without_prio >= config.prio_leak as u64 {
                out.push(state.prio_leak(point, config, now));
            }
            // One is a condition for as long as the window.
            state.harms.tick(now, window, out);
            // Its owners matter for as long as the interface is there.
            true
        });
    }

    /// Attach points known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Those forgotten for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.points.evicted()
    }

    /// The point a request is about, with a fresh state if it is new or now another interface's.
    fn point(&mut self, event: &Event, request: &TcRequest, config: &TcConfig) -> Point {
        let point = Point::of(event, request);
        self.points.remove_if(&point, |state| request.is_of_another_interface(&state.who));
        let state = self.points.entry(point, || State::new(config));
        state.latest = state.latest.max(event.context.at);
        note_who(&mut state.who, event, request);
        point
    }
}

fn capacity(config: &TcConfig) -> usize {
    config.failing_writes.saturating_mul(10)
}

impl State {
    fn new(config: &TcConfig) -> Self {
        Self {
            failures: Window::new(capacity(config)),
            failing: None,
            accepted: 0,
            without_prio: 0,
            seeded: 0,
            owners: Owners::default(),
            harms: Harms::default(),
            latest: 0,
            who: Who::default(),
        }
    }

    fn attach_failing(&self, point: &Point, config: &TcConfig, at: BootNs) -> Option<Condition> {
        let (who, failing) = self.failing.clone()?;
        Some(condition(&ATTACH_FAILING, point, who, TcEvidence::Failing(failing), config, at))
    }

    fn prio_leak(&self, point: &Point, config: &TcConfig, at: BootNs) -> Condition {
        let (filters, parent) = (self.without_prio, parent_name(point.parent));
        let seeded = self.seeded.min(filters);
        let evidence = TcEvidence::PrioLeak(PrioLeak { filters, seeded, parent });
        condition(&PRIO_LEAK, point, self.who.clone(), evidence, config, at)
    }
}

fn condition(
    rule: &'static Rule,
    point: &Point,
    who: Who,
    evidence: TcEvidence,
    config: &TcConfig,
    at: BootNs,
) -> Condition {
    Condition {
        rule,
        key: hash(point),
        severity: Severity::Warning,
        at,
        hold: config.hold.ns(),
        who,
        evidence: Evidence::Tc(evidence),
    }
}
