//! The loop: whatever comes goes through the pipeline, until somebody asks for the end.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{RunError, signals::Asked, start::Agent};
use crate::{
    decode::as_bytes,
    findings::clock::boot_now,
    memory,
    proof::canary::Canary,
    source::{Source, seed},
};

/// How often time is given to the detectors.
pub const TICK: Duration = Duration::from_secs(1);

impl Agent {
    /// Watches until a signal asks for the end.
    ///
    /// # Errors
    /// When a part ends that must not.
    pub async fn watch(&mut self) -> Result<(), RunError> {
        self.first_drain();
        self.free_canary()?;
        memory::release_of_start();
        self.tell_ready();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let outlets = &self.sinks.outlets;
            tokio::select! {
                ready = self.source.ready() => {
                    ready.map_err(RunError::Ring)?;
                    self.gaps.drain(&mut self.source, &mut self.pipeline, &self.snapshot, outlets);
                }
                Some(facts) = self.polls.next() => {
                    facts.iter().for_each(|fact| self.pipeline.fact(fact, outlets));
                }
                Some(found) = self.snapshot.next() => match found {
                    seed::tc::Found::Link(records) => {
                        records.iter().for_each(|each| self.pipeline.seed(as_bytes(each), outlets));
                    }
                    seed::tc::Found::Miss => self.metrics.seed_misses.inc(),
                },
                _ = ticks.tick() => self.tick(boot_now()),
                unexpected = self.supervisor.unexpected_end() => return Err(unexpected.into()),
                asked = self.signals.next() => match asked {
                    Asked::End => return Ok(()),
                    Asked::Reload => self.reload_asked(),
                },
            }
        }
    }

    /// Takes in what is there already. After the hooks and before the first drain: a socket that closes
    /// from now on is known by the time its close comes out of the ring.
    fn first_drain(&mut self) {
        let outlets = &self.sinks.outlets;
        self.gaps.seed(&mut self.pipeline, &self.metrics, outlets);
        self.source.drain(|record| self.pipeline.record(record, outlets));
    }

    /// Starts the canary once what was open before is known: its sockets are nobody's.
    fn free_canary(&mut self) -> Result<(), RunError> {
        let (coverage, metrics) = (&self.coverage, &self.metrics);
        let canary =
            Canary::start(&self.settings.config.canary, coverage, metrics, &mut self.supervisor);
        let canary = canary.map_err(|source| RunError::Start { part: "canary", source })?;
        self.pipeline.watch_canary(canary);
        Ok(())
    }
}
