//! What happens each second.

use super::start::Agent;
use crate::event::BootNs;

impl Agent {
    /// Gives the time to the detectors, looks whether every loop turns, and proves that this one does.
    pub fn tick(&mut self, now: BootNs) {
        let outlets = &self.sinks.outlets;
        self.gaps.drain(&mut self.source, &mut self.pipeline, &self.snapshot, outlets);
        self.untold.take(now, |record| self.pipeline.summed(record, outlets));
        self.gaps.look(&mut self.pipeline, &self.metrics, outlets);
        self.pipeline.tick(now, outlets);
        self.sinks.tick(&self.metrics);
        self.reload_when_stale();
        let stuck = self.supervisor.tick(now);
        if let Some(notifier) = &mut self.notifier {
            notifier.tick(now, &stuck);
        }
        self.health.observe(stuck);
    }
}
