//! What happens at each attach point: an interface and a parent (ingress, egress, root, ...).

use std::hash::{BuildHasher, BuildHasherDefault};

use rustc_hash::FxHasher;

use super::{
    Answer, Operation, TcRequest,
    evidence::{Failing, ForeignRemoval, PrioLeak, ProgramEvidence, TcEvidence, parent_name},
    owners::{Agent, Owner, Owners, Removed},
    point::Point,
    programs::Place,
    rules::{ATTACH_FAILING, FOREIGN_REMOVAL, PRIO_LEAK},
    who,
};
use crate::{
    config::tc::TcConfig,
    enrich::subject::Parent,
    errno,
    event::{BootNs, Event},
    findings::{Condition, Evidence, Rule, Severity, Who},
    signals::{
        bounded::{Aged, Bounded},
        window::Window,
    },
};

/// Attach points remembered at once: 4,000 interfaces with clsact and both directions.
const MOST_POINTS: usize = 12_000;
/// Parent of a clsact qdisc (`TC_H_CLSACT`); it holds the filters of both directions.
const CLSACT: u32 = 0xffff_fff1;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// A removal by somebody else.
struct Removal {
    latest: BootNs,
    total: u64,
    condition: Condition,
}

struct State {
    /// Refused writes since the last accepted one.
    failures: Window,
    failing: Option<(Who, Failing)>,
    /// Filters added without a priority and not deleted.
    without_prio: u64,
    owners: Owners,
    removal: Option<Removal>,
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
    /// Takes a request that worked.
    pub fn done(
        &mut self,
        event: &Event,
        request: &TcRequest,
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
                let replaced = request.bpf.replaced.map(|id| Removed::One(Place::Program(id)));
                let victim = replaced.and_then(|replaced| state.owners.remove(replaced, agent));
                state.owners.attach(request.place(), agent, now);
                out.extend(
                    victim.map(|victim| {
                        state.foreign_removal(&point, event, request, &victim, config)
                    }),
                );
                if request.lets_the_kernel_choose() && request.kind.as_deref() == Some("bpf") {
                    state.without_prio += 1;
                    if state.without_prio == config.prio_leak as u64 {
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
                        _ => state.without_prio.saturating_sub(1),
                    };
                    state.owners.remove(removed, agent)
                });
                // Who dropped the last reference to a link that the kernel detaches is not known.
                let hits = hits.filter(|_| !request.bpf.by_kernel);
                let victim = hits.max_by_key(|owner| owner.at);
                let state = self.points.get_mut(&point);
                out.extend(state.zip(victim).map(|(state, victim)| {
                    state.foreign_removal(&point, event, request, &victim, config)
                }));
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
        state.failures.push(now);
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

    /// Forgets an interface that is gone.
    pub fn link_gone(&mut self, netns: u32, ifindex: i32) {
        self.points.retain(|point, _| point.netns != netns || point.ifindex != ifindex);
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
            // One removal is a condition for as long as the window.
            state.removal.take_if(|removal| now.saturating_sub(removal.latest) > window);
            let removal = state.removal.as_ref();
            out.extend(removal.map(|removal| Condition { at: now, ..removal.condition.clone() }));
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
        state.who = who(event, request);
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
            without_prio: 0,
            owners: Owners::default(),
            removal: None,
            latest: 0,
            who: Who::default(),
        }
    }

    fn foreign_removal(
        &mut self,
        point: &Point,
        event: &Event,
        request: &TcRequest,
        victim: &Owner,
        config: &TcConfig,
    ) -> Condition {
        let now = event.context.at;
        let total = self.removal.as_ref().map_or(0, |removal| removal.total) + 1;
        let evidence = TcEvidence::ForeignRemoval(ForeignRemoval {
            removed: request.object.name(),
            parent: parent_name(point.parent),
            program: request.bpf.program.as_deref().map(ProgramEvidence::of),
            victim: Parent { pid: victim.agent.pid, comm: victim.agent.comm.text() },
            attached_seconds_ago: now.saturating_sub(victim.at) / 1_000_000_000,
            removals_total: total,
        });
        let by = who(event, request);
        let condition = condition(&FOREIGN_REMOVAL, point, by, evidence, config, now);
        self.removal = Some(Removal { latest: now, total, condition: condition.clone() });
        condition
    }

    fn attach_failing(&self, point: &Point, config: &TcConfig, at: BootNs) -> Option<Condition> {
        let (who, failing) = self.failing.clone()?;
        Some(condition(&ATTACH_FAILING, point, who, TcEvidence::Failing(failing), config, at))
    }

    fn prio_leak(&self, point: &Point, config: &TcConfig, at: BootNs) -> Condition {
        let (filters, parent) = (self.without_prio, parent_name(point.parent));
        let evidence = TcEvidence::PrioLeak(PrioLeak { filters, parent });
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
        key: BuildHasherDefault::<FxHasher>::default().hash_one(point),
        severity: Severity::Warning,
        at,
        hold: config.hold.ns(),
        who,
        evidence: Evidence::Tc(evidence),
    }
}
