//! The same program more than once at one attach point: what a restart left behind (cilium#44194).

use super::{
    Object, Operation, TcRequest,
    evidence::{Copy, Duplicates, ProgramEvidence, TcEvidence, parent_name},
    link::hash,
    owners::Agent,
    point::Point,
    programs::{Place, Program},
    rules::DUPLICATE_PROGRAM,
    who,
};
use crate::{
    config::tc::TcConfig,
    event::{BootNs, Event},
    findings::{Condition, Evidence, Severity, Who},
    signals::bounded::{Aged, Bounded},
};

/// Attach points with programs remembered at once: 2,000 interfaces and both directions.
const MOST_POINTS: usize = 4_000;
/// Programs at one point, `BPF_MPROG_MAX` in include/linux/bpf_mprog.h.
const MOST_PROGRAMS: usize = 64;
/// Copies named in a finding.
const MOST_NAMED: usize = 8;

/// A program at its place.
struct Attached {
    place: Place,
    program: Program,
    agent: Option<Agent>,
    at: BootNs,
    who: Who,
}

/// The programs at one attach point, in the order they came.
#[derive(Default)]
struct State {
    attached: Vec<Attached>,
    latest: BootNs,
}

/// The programs at each attach point that can have several.
pub struct Programs {
    points: Bounded<Point, State>,
}

impl Default for Programs {
    fn default() -> Self {
        Self { points: Bounded::new(MOST_POINTS) }
    }
}

impl Aged for State {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Programs {
    /// Takes a request that worked.
    pub fn done(&mut self, event: &Event, request: &TcRequest) {
        if request.object != Object::Program || request.place() == Place::Only {
            return;
        }
        let state = self.points.entry(Point::of(event, request), State::default);
        state.latest = state.latest.max(event.context.at);
        state.remove(request.place());
        if let Some(id) = request.bpf.replaced {
            state.remove(Place::Program(id));
        }
        let program = request.bpf.program.as_deref();
        let Some(program) = program.filter(|_| request.operation == Operation::Write) else {
            return;
        };
        if state.attached.len() == MOST_PROGRAMS {
            state.attached.remove(0);
        }
        state.attached.push(Attached {
            place: request.place(),
            program: program.clone(),
            agent: Agent::behind(event, request),
            at: event.context.at,
            who: who(event, request),
        });
    }

    /// Forgets what is attached: something was missed.
    pub fn forget(&mut self) {
        self.points.retain(|_, _| false);
    }

    /// Forgets an interface that is gone.
    pub fn link_gone(&mut self, netns: u32, ifindex: i32) {
        self.points.retain(|point, _| !point.link.is(netns, ifindex));
    }

    /// Says which programs are there more than once.
    pub fn tick(&mut self, now: BootNs, config: &TcConfig, out: &mut Vec<Condition>) {
        self.points.retain(|point, state| {
            for (index, first) in state.attached.iter().enumerate() {
                // Whoever replaces a program may attach the new one before it detaches the old.
                let settled = |attached: &&Attached| {
                    now.saturating_sub(attached.at) >= config.duplicate_after.ns()
                };
                let same = |attached: &&Attached| attached.is_same_as(first);
                if state.attached[..index].iter().any(|before| same(&before)) {
                    continue;
                }
                let copies: Vec<_> =
                    state.attached[index..].iter().filter(same).filter(settled).collect();
                if copies.len() > 1 {
                    out.extend(condition(point, &copies, config, now));
                }
            }
            !state.attached.is_empty()
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
}

impl State {
    /// Notes that a place is empty; when it is not known which, none is sure to be there.
    fn remove(&mut self, place: Place) {
        self.attached.retain(|attached| place != Place::Unknown && attached.place != place);
    }
}

impl Attached {
    /// Whether it is another copy: the same code, or another version of the same agent's program.
    fn is_same_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.program, &other.program);
        let named = !ours.name.bytes().is_empty();
        let same_agent = self.agent.zip(other.agent).is_some_and(|(one, other)| one.is(&other));
        ours.name == theirs.name && (ours.tag == theirs.tag || (named && same_agent))
    }
}

fn condition(
    point: &Point,
    copies: &[&Attached],
    config: &TcConfig,
    at: BootNs,
) -> Option<Condition> {
    let latest = copies.last()?;
    let copy = |attached: &&Attached| Copy {
        program: ProgramEvidence::of(&attached.program),
        link_id: match attached.place {
            Place::Link(id) => Some(id),
            _ => None,
        },
        attached_by: attached.agent.and_then(|agent| agent.comm.text()),
        attached_seconds_ago: at.saturating_sub(attached.at) / 1_000_000_000,
    };
    Some(Condition {
        rule: &DUPLICATE_PROGRAM,
        key: hash((point, latest.program.name)),
        severity: Severity::Warning,
        at,
        hold: config.hold.ns(),
        who: latest.who.clone(),
        evidence: Evidence::Tc(TcEvidence::Duplicates(Duplicates {
            parent: parent_name(point.parent),
            program: ProgramEvidence::of(&latest.program),
            copies: copies.len() as u64,
            // The latest ones: those before them are what is left over.
            attached: copies.iter().rev().take(MOST_NAMED).map(copy).collect(),
        })),
    })
}
