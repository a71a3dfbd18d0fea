//! How long tasks wait for the RTNL mutex, and for whom.

use super::{WaitingNow, evidence::RtnlEvidence, rules::PRESSURE, waits::Waits};
use crate::{
    config::{Config, rtnl::RtnlConfig},
    event::{Body, BootNs, Context, Event, Fact},
    findings::{Condition, Evidence, Severity, Who},
    signals::Detector,
};

/// How long a look at the waits that are not over is good for (ns); it is taken each second.
const LOOKED_LATELY: u64 = 3_000_000_000;

/// The detector of the rtnl signal. There is one mutex on a node, so there is one condition.
pub struct RtnlDetector {
    config: RtnlConfig,
    waits: Waits,
    /// Waits that are not over, as they were when last looked at.
    waiting: Option<(BootNs, WaitingNow)>,
    raised: Option<Severity>,
}

impl RtnlDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &RtnlConfig) -> Self {
        Self {
            config: config.clone(),
            waits: Waits::new(config.window.ns()),
            waiting: None,
            raised: None,
        }
    }

    fn judge(&self, now: BootNs) -> Option<Severity> {
        let waits = self.waits.totals(now).all;
        if waits.waited_ns >= self.config.critical_waited.ns()
            || waits.longest_ns >= self.config.critical_wait.ns()
            || self.stuck(now).is_some()
        {
            Some(Severity::Critical)
        } else {
            (waits.waited_ns >= self.config.warn_waited.ns()).then_some(Severity::Warning)
        }
    }

    /// Waits that are not over and too long already.
    fn stuck(&self, now: BootNs) -> Option<WaitingNow> {
        let (seen, waiting) = self.waiting?;
        let is_now = now.saturating_sub(seen) <= LOOKED_LATELY;
        (is_now && waiting.longest.waited_ns >= self.config.critical_wait.ns()).then_some(waiting)
    }

    fn condition(&self, severity: Severity, at: BootNs) -> Condition {
        let (holders, waiters) = (self.waits.holders(at), self.waits.waiters(at));
        // The one that the others wait for most. Its cgroup and process are looked up for the finding.
        let stuck = self.stuck(at);
        let has_it = stuck.and_then(|waiting| waiting.longest.holder);
        let culprit = has_it.or(holders.first().map(|(_, part)| part.latest));
        let who = culprit.map_or_else(Who::default, |party| Who {
            context: Context {
                at,
                pid: party.pid,
                tid: party.pid,
                cgroup: party.cgroup,
                netns: None,
                comm: party.comm,
            },
            parent: party.parent,
            interface: None,
            limit_owner: None,
        });
        let totals = self.waits.totals(at);
        let evidence = RtnlEvidence::of(self.config.window.ns(), totals, &holders, &waiters)
            .and_waiting(stuck);
        Condition {
            rule: &PRESSURE,
            key: 0,
            severity,
            at,
            hold: self.config.hold.ns(),
            who,
            evidence: Evidence::Rtnl(evidence),
        }
    }
}

impl Detector for RtnlDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        let now = event.context.at;
        match &event.body {
            Body::Rtnl(waits) => self.waits.add(now, waits),
            Body::Polled(Fact::RtnlWaiting(waiting)) => self.waiting = Some((now, *waiting)),
            _ => return,
        }
        // Only a change for the worse is worth a condition here; the tick renews it.
        let severity = self.judge(now);
        if severity > self.raised {
            self.raised = severity;
            out.extend(severity.map(|severity| self.condition(severity, now)));
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        self.waits.forget(now);
        self.raised = self.judge(now);
        out.extend(self.raised.map(|severity| self.condition(severity, now)));
    }

    fn reconfigure(&mut self, config: &Config) {
        self.config = config.rtnl.clone();
        self.waits.resize(self.config.window.ns());
    }

    fn tracked(&self) -> usize {
        self.waits.len()
    }

    fn evicted(&self) -> u64 {
        self.waits.evicted()
    }
}
