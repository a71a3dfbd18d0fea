//! Another set of sinks, while the agent runs: those that stay the same are not touched.

use std::sync::Arc;

use super::{Plan, Running, Sinks, StartError};
use crate::{
    config::{
        Config,
        sinks::{MOST, SinksConfig},
    },
    metrics::Metrics,
    supervise::Supervisor,
};

/// What became of the sinks, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl Change {
    /// From one configuration to another.
    #[must_use]
    pub fn between(old: &SinksConfig, new: &SinksConfig) -> Self {
        let (old, new) = (&old.0, &new.0);
        let both = || new.iter().filter_map(|(name, sink)| Some((name, old.get(name)?, sink)));
        Self {
            added: new.keys().filter(|name| !old.contains_key(*name)).cloned().collect(),
            removed: old.keys().filter(|name| !new.contains_key(*name)).cloned().collect(),
            changed: both()
                .filter(|(_, old, new)| old != new)
                .map(|(name, ..)| name.clone())
                .collect(),
        }
    }

    /// In words, one a sink.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let all = [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)];
        all.into_iter()
            .flat_map(|(what, names)| names.iter().map(move |name| format!("sinks.{name} {what}")))
    }
}

impl Sinks {
    /// Goes over to another configuration. New sinks start before old ones are let go, which then hand
    /// over what is in their queues, on their own threads and for as long as their last words may take:
    /// these begin when all is out of the queue. What is lost after them is counted.
    ///
    /// # Errors
    /// [`StartError`] of the first sink that cannot start; all is as it was then.
    pub fn change(
        &mut self,
        config: &Config,
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<Change, StartError> {
        let change = Change::between(&self.config, &config.sinks);
        if self.leaving.len() + change.removed.len() + change.changed.len() > MOST {
            return Err(StartError::Leaving(self.leaving.len()));
        }
        let mut fresh = Self::default();
        let begin = config
            .sinks
            .0
            .iter()
            .filter(|(name, _)| change.added.contains(name) || change.changed.contains(name));
        for (name, sink) in begin {
            let started = Plan::of(name, sink, &self.spool, false)
                .and_then(|plan| fresh.start(plan, metrics, supervisor));
            if let Err(error) = started {
                self.dismiss(std::mem::take(&mut fresh.running));
                return Err(error);
            }
        }
        let ends =
            |sink: &str| change.removed.iter().chain(&change.changed).any(|name| name == sink);
        // Before its queue is closed: an end that comes of itself ends the agent.
        let old = self.running.extract_if(.., |running| ends(running.sink)).collect();
        self.dismiss(old);
        self.outlets.retain(|outlet| !ends(outlet.name()));
        self.outlets.extend(fresh.outlets.take());
        self.running.append(&mut fresh.running);
        if change != Change::default() {
            let bereft = std::mem::take(&mut self.bereft);
            bereft.into_iter().for_each(|sink| self.forget(sink, metrics));
        }
        self.config = config.sinks.clone();
        Ok(change)
    }

    fn dismiss(&mut self, sinks: Vec<Running>) {
        sinks.iter().for_each(|running| running.thread.dismiss());
        self.leaving.extend(sinks);
    }

    /// Forgets what was let go and has ended. How it ended the supervisor says.
    pub fn tick(&mut self, metrics: &Metrics) {
        let ended: Vec<_> = self.leaving.extract_if(.., |leaving| leaving.is_finished()).collect();
        for Running { sink, thread, .. } in ended {
            match thread.join() {
                Ok(()) => self.forget(sink, metrics),
                // What it lost is to be seen: series that go at once are read by nobody.
                Err(_) => self.bereft.push(sink),
            }
        }
    }

    /// Drops the series of a sink, unless another has its name by now.
    fn forget(&self, sink: &str, metrics: &Metrics) {
        let mut others = self.running.iter().chain(&self.leaving);
        if others.all(|other| other.sink != sink) {
            metrics.forget_sink(sink);
        }
    }

    /// Asks every sink to open its files again.
    pub fn reopen(&self) {
        self.outlets.reopen();
    }
}

#[cfg(test)]
mod tests;
