//! Rewrite rate and handle toggling of each filter or qdisc.

use std::hash::{BuildHasher, BuildHasherDefault};

use rustc_hash::{FxHashMap, FxHasher};

use super::{
    Answer, HANDLE_TOGGLE, Operation, REWRITE_RATE, TcChange, TcEvidence, TcRequest, parent_name,
};
use crate::{
    config::tc::TcConfig,
    event::{Body, BootNs, Event},
    findings::{Condition, Evidence, Rule, Severity, Who},
    signals::{Detector, window::Window},
};

/// Filters and qdiscs remembered at once: 4,000 interfaces with clsact and both directions.
const MOST_SLOTS: usize = 12_000;

static RULES: [&Rule; 2] = [&REWRITE_RATE, &HANDLE_TOGGLE];

/// Where a filter or qdisc sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    netns: u32,
    /// Tells a namespace from a later one with the same inode number.
    netns_cookie: u64,
    ifindex: i32,
    parent: u32,
    prio: u16,
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
    success_assumed: bool,
    who: Who,
    raised: [Option<Severity>; RULES.len()],
}

/// The detector of the tc signal.
pub struct TcDetector {
    config: TcConfig,
    slots: FxHashMap<Slot, State>,
    evicted: u64,
}

impl TcDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &TcConfig) -> Self {
        Self { config: config.clone(), slots: FxHashMap::default(), evicted: 0 }
    }

    fn make_room(&mut self) {
        if self.slots.len() < MOST_SLOTS {
            return;
        }
        let stalest = self.slots.iter().min_by_key(|(_, state)| state.latest);
        if let Some(slot) = stalest.map(|(slot, _)| *slot) {
            self.slots.remove(&slot);
            self.evicted += 1;
        }
    }

    fn request(&mut self, event: &Event, request: &TcRequest, out: &mut Vec<Condition>) {
        if !matches!(request.answer, Answer::Done | Answer::Unknown) {
            return;
        }
        let slot = Slot {
            netns: event.context.netns.unwrap_or(0),
            netns_cookie: request.netns_cookie,
            ifindex: request.interface.index,
            parent: request.parent,
            prio: request.prio,
        };
        if self.slots.get(&slot).is_some_and(|state| state.is_of_another_interface(request)) {
            self.slots.remove(&slot);
        }
        if !self.slots.contains_key(&slot) {
            self.make_room();
        }
        let config = &self.config;
        let state = self.slots.entry(slot).or_insert_with(|| State::new(config));
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
}

impl State {
    fn new(config: &TcConfig) -> Self {
        let capacity = config.critical_writes.max(config.critical_toggles).saturating_mul(10);
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
            success_assumed: false,
            who: Who::default(),
            raised: [None; RULES.len()],
        }
    }

    /// An index used again for another interface, whose end was not seen (tracepoint rung).
    fn is_of_another_interface(&self, request: &TcRequest) -> bool {
        let known = self.who.interface.as_ref().and_then(|interface| interface.name.as_ref());
        known.zip(request.interface.name.as_ref()).is_some_and(|(known, new)| known != new)
    }

    fn note(&mut self, event: &Event, request: &TcRequest) {
        let at = event.context.at;
        self.latest = self.latest.max(at);
        self.longest_ns = self.longest_ns.max(request.duration_ns.unwrap_or(0));
        self.success_assumed |= request.answer == Answer::Unknown;
        let turns = match request.operation {
            Operation::Write => {
                self.writes.push(at);
                self.writes_total += 1;
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
        self.who = Who {
            context: event.context,
            parent: request.started_by,
            interface: Some(request.interface.clone()),
            limit_owner: None,
        };
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
            key: BuildHasherDefault::<FxHasher>::default().hash_one(slot),
            severity,
            at,
            hold: config.hold.ns(),
            who: self.who.clone(),
            evidence: Evidence::Tc(TcEvidence {
                writes: self.writes.count(at, window) as u64,
                writes_total: self.writes_total,
                toggles: self.toggles.count(at, window) as u64,
                handles: if toggling { self.handles.clone() } else { Vec::new() },
                window_seconds: window / 1_000_000_000,
                parent: parent_name(slot.parent),
                prio: slot.prio,
                kind: self.kind.clone(),
                success_assumed: self.success_assumed,
                longest_ns: self.longest_ns,
            }),
        }
    }
}

impl Detector for TcDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        match &event.body {
            Body::Tc(TcChange::Request(request)) => self.request(event, request, out),
            Body::Tc(TcChange::LinkGone { ifindex }) => {
                let netns = event.context.netns.unwrap_or(0);
                self.slots.retain(|slot, _| slot.netns != netns || slot.ifindex != *ifindex);
            }
            Body::Fork(_) | Body::Netlink(_) => {}
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        let config = &self.config;
        let keep = config.window.ns().max(config.hold.ns());
        self.slots.retain(|slot, state| {
            for (index, rule) in RULES.into_iter().enumerate() {
                state.raised[index] = state.judge(rule, config, now);
                out.extend(
                    state.raised[index].map(|s| state.condition(rule, s, slot, config, now)),
                );
            }
            now.saturating_sub(state.latest) <= keep
        });
    }

    fn tracked(&self) -> usize {
        self.slots.len()
    }

    fn evicted(&self) -> u64 {
        self.evicted
    }
}
