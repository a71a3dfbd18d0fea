//! Rewrite rate and handle toggling of each filter or qdisc.

use super::{
    Answer, Operation, TcRequest,
    evidence::{ProgramEvidence, Rewrites, TcEvidence, parent_name},
    link::{LinkKey, hash},
    note_who,
    programs::Program,
    rules::{HANDLE_TOGGLE, REWRITE_RATE},
};
use crate::{
    config::tc::TcConfig,
    event::{BootNs, Comm, Event},
    findings::{Condition, Evidence, Rule, Severity, Who},
    signals::{
        bounded::{Aged, Bounded},
        window::Window,
    },
};

/// Filters and qdiscs remembered at once: 2,000 interfaces with clsact and both directions.
const MOST_SLOTS: usize = 6_000;

static RULES: [&Rule; 2] = [&REWRITE_RATE, &HANDLE_TOGGLE];

/// Where a filter or qdisc sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    link: LinkKey,
    parent: u32,
    prio: u16,
    /// Tells programs at one point apart; empty for qdiscs and filters.
    program: Comm,
}

/// The last two handles that one kind of request named.
#[derive(Default)]
struct Turns {
    last: u32,
    before: u32,
}

impl Turns {
    /// Notes a handle; whether it came back after another one (A, B, A).
    fn note(&mut self, handle: u32) -> bool {
        if handle == 0 || handle == self.last {
            return false;
        }
        let came_back = handle == self.before;
        self.before = std::mem::replace(&mut self.last, handle);
        came_back
    }
}

/// What is known of one slot.
struct State {
    writes: Window,
    writes_total: u64,
    toggles: Window,
    /// With handle 0 in the add, as Calico sends it, only the delete names the handle; an agent that
    /// replaces names it in the add. So each kind has its own turns.
    written: Turns,
    deleted: Turns,
    handles: Vec<u32>,
    latest: BootNs,
    longest_ns: u64,
    kind: Option<String>,
    program: Option<Box<Program>>,
    success_assumed: bool,
    who: Who,
    raised: [Option<Severity>; RULES.len()],
}

/// Every filter and qdisc that was written.
pub struct Slots {
    slots: Bounded<Slot, State>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { slots: Bounded::new(MOST_SLOTS) }
    }
}

impl Aged for State {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Slots {
    /// Takes a request that worked.
    pub fn observe(
        &mut self,
        event: &Event,
        request: &TcRequest,
        config: &TcConfig,
        out: &mut Vec<Condition>,
    ) {
        let slot = Slot {
            link: LinkKey::of(event, request),
            parent: request.parent,
            prio: request.prio,
            program: request.program_name(),
        };
        self.slots.remove_if(&slot, |state| request.is_of_another_interface(&state.who));
        let state = self.slots.entry(slot, || State::new(config));
        state.note(event, request);
        let now = event.context.at;
        for (index, rule) in RULES.into_iter().enumerate() {
            // Only a change for the worse is worth a condition here; the tick renews it.
            let severity = state.judge(rule, config, now);
            if severity > state.raised[index] {
                state.raised[index] = severity;
                out.extend(severity.map(|s| state.condition(rule, s, &slot, config, now)));
            }
        }
    }

    /// Goes by other thresholds from now on.
    pub fn reconfigure(&mut self, config: &TcConfig) {
        for state in self.slots.values_mut() {
            state.writes.resize(capacity(config));
            state.toggles.resize(capacity(config));
        }
    }

    /// Forgets an interface that is gone.
    pub fn link_gone(&mut self, netns: u32, ifindex: i32) {
        self.slots.retain(|slot, _| !slot.link.is(netns, ifindex));
    }

    /// Renews what holds, forgets what is old.
    pub fn tick(&mut self, now: BootNs, config: &TcConfig, out: &mut Vec<Condition>) {
        let keep = config.window.ns().max(config.hold.ns());
        self.slots.retain(|slot, state| {
            for (index, rule) in RULES.into_iter().enumerate() {
                state.raised[index] = state.judge(rule, config, now);
                out.extend(
                    state.raised[index].map(|s| state.condition(rule, s, slot, config, now)),
                );
            }
            now.abs_diff(state.latest) <= keep
        });
    }

    /// Filters and qdiscs known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Those forgotten for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.slots.evicted()
    }
}

/// The writes, or toggles, that are told apart.
fn capacity(config: &TcConfig) -> usize {
    config.critical_writes.max(config.critical_toggles).saturating_mul(10)
}

impl State {
    fn new(config: &TcConfig) -> Self {
        let capacity = capacity(config);
        Self {
            writes: Window::new(capacity),
            writes_total: 0,
            toggles: Window::new(capacity),
            written: Turns::default(),
            deleted: Turns::default(),
            handles: Vec::new(),
            latest: 0,
            longest_ns: 0,
            kind: None,
            program: None,
            success_assumed: false,
            who: Who::default(),
            raised: [None; RULES.len()],
        }
    }

    fn note(&mut self, event: &Event, request: &TcRequest) {
        let at = event.context.at;
        self.latest = self.latest.max(at);
        self.longest_ns = self.longest_ns.max(request.duration_ns.unwrap_or(0));
        self.success_assumed |= request.answer == Answer::Unknown;
        let turns = match request.operation {
            Operation::Write => {
                self.writes.push_many(at, event.count());
                self.writes_total += event.count() as u64;
                &mut self.written
            }
            Operation::Delete => &mut self.deleted,
        };
        if turns.note(request.handle) {
            self.handles = vec![turns.last.min(turns.before), turns.last.max(turns.before)];
            self.toggles.push(at);
        }
        if request.kind.is_some() {
            self.kind.clone_from(&request.kind);
        }
        if request.bpf.program.is_some() {
            self.program.clone_from(&request.bpf.program);
        }
        note_who(&mut self.who, event, request);
    }

    fn judge(&self, rule: &Rule, config: &TcConfig, now: BootNs) -> Option<Severity> {
        let window = config.window.ns();
        if std::ptr::eq(rule, &raw const HANDLE_TOGGLE) {
            let toggles = self.toggles.count(now, window);
            return (toggles >= config.critical_toggles).then_some(Severity::Critical);
        }
        match self.writes.count(now, window) {
            writes if writes >= config.critical_writes => Some(Severity::Critical),
            writes if writes >= config.warn_writes => Some(Severity::Warning),
            _ => None,
        }
    }

    fn condition(
        &self,
        rule: &'static Rule,
        severity: Severity,
        slot: &Slot,
        config: &TcConfig,
        at: BootNs,
    ) -> Condition {
        let window = config.window.ns();
        let toggling = std::ptr::eq(rule, &raw const HANDLE_TOGGLE);
        Condition {
            rule,
            key: hash(slot),
            severity,
            at,
            hold: config.hold.ns(),
            who: self.who.clone(),
            evidence: Evidence::Tc(TcEvidence::Rewrites(Rewrites {
                writes: self.writes.count(at, window) as u64,
                writes_total: self.writes_total,
                toggles: self.toggles.count(at, window) as u64,
                handles: if toggling { self.handles.clone() } else { Vec::new() },
                window_seconds: window / 1_000_000_000,
                parent: parent_name(slot.parent),
                prio: slot.prio,
                kind: self.kind.clone(),
                program: self.program.as_deref().map(ProgramEvidence::of),
                success_assumed: self.success_assumed,
                longest_ns: self.longest_ns,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::signals::{
        tc::{
            Operation, TcRequest,
            tests::{bench, body, request},
        },
        testing::{SECOND, comm},
    };

    #[test]
    fn a_tool_that_outlived_its_starter_takes_no_blame() {
        let mut bench = bench();
        let by = |pid, name| {
            let request = request(Operation::Write, 0);
            body(TcRequest { started_by: Some((pid, comm(name))), ..request })
        };
        (1..12).for_each(|n| drop(bench.at(n * SECOND, by(40, "calico-node"))));
        let critical = bench.at(12 * SECOND, by(1, "init"));
        assert_eq!(critical[0].who.parent, Some((40, comm("calico-node"))));
    }
}
