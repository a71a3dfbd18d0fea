//! Incidents: findings that share a cause. What links two findings is declared in [`link`], never
//! guessed from time alone. An incident is named by its first finding and keeps that name; what
//! joins later makes its line grow.

use serde::Serialize;

use super::{Condition, part::Part};
use crate::{
    enrich::subject::Subject,
    event::BootNs,
    signals::bounded::{Aged, Bounded},
    text::plain,
};

mod line;
mod link;

use line::Line;
use link::Trace;

/// Incidents remembered at once.
const MOST_INCIDENTS: usize = 512;
/// Different culprits and places an incident is known by; what joins later adds to its line only.
const MOST_TRACES: usize = 64;

/// What a finding is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// The same in all its findings, from the first on.
    pub id: String,
    /// Cause and effects, the cause first: `pids.max of /kubepods is reached -> calico-node cannot
    /// fork -> tc filters of 41 interfaces are rewritten`. Where no effect is claimed it says `;`.
    pub line: String,
    /// Findings it has had by now.
    pub findings: u64,
}

struct Known {
    began: BootNs,
    latest: BootNs,
    traces: Vec<Trace>,
    line: Line,
    findings: u64,
}

impl Aged for Known {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

/// Every incident of the last while, by the number of its first finding.
pub struct Incidents {
    window: u64,
    known: Bounded<u64, Known>,
}

impl Incidents {
    /// None yet. `window` (ns) is how long one is remembered after its findings held.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self { window, known: Bounded::new(MOST_INCIDENTS) }
    }

    /// Remembers them for so many ns from now on.
    pub fn remember_for(&mut self, window: u64) {
        self.window = window;
    }

    /// Finds the incident of a finding that fires, the oldest of several, or makes one with `number`
    /// for a name.
    pub fn join(&mut self, number: u64, condition: &Condition, subject: &Subject) -> u64 {
        let part = condition.evidence.part(subject);
        let trace = Trace::new(subject, &part, condition.at);
        let linked = self.known.iter().filter(|(_, known)| {
            condition.at.saturating_sub(known.latest) <= self.window
                && known.traces.iter().any(|other| link::linked(other, &trace))
        });
        let oldest = linked.map(|(number, known)| (known.began, *number)).min();
        let number = oldest.map_or(number, |(_, number)| number);
        self.put(number, part, trace, condition.at).findings += 1;
        number
    }

    /// Adds what is new of a finding that is in it already; makes it anew when it was forgotten.
    pub fn add(&mut self, number: u64, condition: &Condition, subject: &Subject) {
        let part = condition.evidence.part(subject);
        let trace = Trace::new(subject, &part, condition.at);
        let known = self.put(number, part, trace, condition.at);
        known.findings = known.findings.max(1);
    }

    fn put(&mut self, number: u64, part: Part, trace: Trace, at: BootNs) -> &mut Known {
        let known = self.known.entry(number, || Known {
            began: at,
            latest: at,
            traces: Vec::new(),
            line: Line::default(),
            findings: 0,
        });
        known.latest = known.latest.max(at);
        for clause in part.clauses {
            known.line.add(clause, trace.since);
        }
        let known_already = known.traces.iter().any(|other| other.covers(&trace));
        if !known_already && known.traces.len() < MOST_TRACES {
            known.traces.push(trace);
        }
        known
    }

    /// Notes that one of its findings holds on.
    pub fn renew(&mut self, number: u64, at: BootNs) {
        if let Some(known) = self.known.get_mut(&number) {
            known.latest = known.latest.max(at);
        }
    }

    /// The incident as it stands; `None` when it was forgotten.
    #[must_use]
    pub fn view(&mut self, number: u64) -> Option<Incident> {
        let known = self.known.get_mut(&number)?;
        let (id, line) = (format!("incident-{number:016x}"), plain(&known.line.to_string()));
        Some(Incident { id, line, findings: known.findings })
    }

    /// Forgets what nothing has held of for the window.
    pub fn expire(&mut self, now: BootNs) {
        let window = self.window;
        self.known.retain(|_, known| {
            // A time later than now is a clock's mistake, and must not keep it for ever.
            known.latest = known.latest.min(now);
            now - known.latest <= window
        });
    }

    /// Incidents remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Those forgotten for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.known.evicted()
    }
}

#[cfg(test)]
mod tests;
