//! What happens each second.

use std::sync::PoisonError;

use super::{notify::Notify, ready, start::Agent};
use crate::{cli::say, event::BootNs};

impl Agent {
    /// Gives the time to the detectors, looks whether every loop turns, and proves that this one does.
    pub fn tick(&mut self, now: BootNs) {
        let outlets = &self.sinks.outlets;
        let ebpf = self.ebpf.lock().unwrap_or_else(PoisonError::into_inner);
        self.gaps.ask_what_was_left_out(&ebpf, &self.coverage);
        drop(ebpf);
        self.gaps.drain(&mut self.source, &mut self.pipeline, &self.snapshot, outlets);
        self.untold.take(now, |record| self.pipeline.summed(record, outlets));
        self.gaps.look(&mut self.pipeline, &self.metrics, outlets);
        self.pipeline.tick(now, outlets);
        self.follow_modules();
        self.sinks.tick(&self.metrics);
        self.reload_when_stale();
        let stuck = self.supervisor.tick(now);
        if let Some(notifier) = &mut self.notifier {
            notifier.tick(now, &stuck);
        }
        self.health.observe(stuck);
    }

    /// Attaches the hooks of kernel modules that were loaded, and says which modules went.
    fn follow_modules(&mut self) {
        let mut ebpf = self.ebpf.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.modules.look(&mut ebpf, &mut self.coverage);
        drop(ebpf);
        for (covered, before) in &changed {
            self.metrics.observe_rung(covered, before);
            say(&ready::changed(covered));
        }
        if !changed.is_empty() {
            self.health.ready(self.gaps_told());
            if let Some(notifier) = &mut self.notifier {
                notifier.send(&Notify::Status(&ready::status(&self.coverage)));
            }
        }
    }
}
