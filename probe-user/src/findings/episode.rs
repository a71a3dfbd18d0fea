//! One episode of a condition: it fires, gets worse, is renewed, resolves, and may begin again.

use super::{Condition, Finding, State, clock::Clock};
use crate::{config::findings::FindingsConfig, event::BootNs, signals::bounded::Aged};

/// Least time between two updates of one finding that did not get worse (ns).
const UPDATE_EVERY: u64 = 60_000_000_000;

/// A finding and when it was last heard of.
pub struct Episode {
    pub finding: Finding,
    /// The incident it is part of.
    pub incident: u64,
    /// The clocks when it fired: one finding is told by one calendar, whatever becomes of the node's.
    clock: Clock,
    held_at: BootNs,
    sent_at: BootNs,
    resolved_at: BootNs,
    hold: u64,
}

impl Aged for Episode {
    fn latest(&self) -> BootNs {
        self.resolved_at
    }
}

impl Episode {
    /// An episode that begins with this finding.
    pub fn new(finding: Finding, incident: u64, condition: &Condition, clock: Clock) -> Self {
        let (at, hold) = (condition.at, condition.hold);
        Self { finding, incident, clock, held_at: at, sent_at: at, resolved_at: at, hold }
    }

    /// Takes a condition that holds on; whether the finding must be sent. Who it is about, the
    /// caller sees to.
    pub fn renew(&mut self, condition: Condition) -> bool {
        let worse = condition.severity > self.finding.severity;
        let at = condition.at;
        self.note(condition);
        if !worse && at.saturating_sub(self.sent_at) < UPDATE_EVERY {
            return false;
        }
        self.sent_at = at;
        self.finding.revision = self.finding.revision.saturating_add(1);
        true
    }

    /// Begins again what had resolved.
    pub fn reopen(&mut self, condition: Condition) {
        (self.held_at, self.sent_at) = (condition.at, condition.at);
        self.note(condition);
        self.finding.state = State::Firing;
        self.finding.flaps = self.finding.flaps.saturating_add(1);
        self.finding.revision = self.finding.revision.saturating_add(1);
    }

    fn note(&mut self, condition: Condition) {
        self.held_at = self.held_at.max(condition.at);
        self.hold = condition.hold;
        self.finding.severity = self.finding.severity.max(condition.severity);
        self.finding.summary = condition.evidence.summary(&self.finding.subject);
        self.finding.evidence = condition.evidence;
        self.finding.last_seen = self.clock.wall(self.held_at);
    }

    /// Whether it has not held for its hold time; for longer, once it has begun again too often.
    pub fn is_over(&mut self, now: BootNs, config: &FindingsConfig) -> bool {
        // A time later than now is a clock's mistake, and must not keep it open for ever.
        self.held_at = self.held_at.min(now);
        let damped = self.finding.flaps as usize >= config.flaps;
        let hold = if damped { self.hold.max(config.reopen.ns()) } else { self.hold };
        now - self.held_at > hold
    }

    /// Ends it.
    pub fn resolve(&mut self, now: BootNs) {
        self.resolved_at = now;
        self.finding.state = State::Resolved;
        self.finding.revision = self.finding.revision.saturating_add(1);
    }

    /// Whether it ended so short a time ago that a condition at `at` is the same episode.
    pub fn may_reopen(&self, at: BootNs, config: &FindingsConfig) -> bool {
        at.saturating_sub(self.resolved_at) <= config.reopen.ns()
    }
}
