//! The one way through: record, event, condition, finding. The only place that knows every stage.

use std::sync::Arc;

use crate::{
    config::Config,
    decode::decode,
    enrich::Enricher,
    event::{Body, BootNs, Event, Fact},
    findings::{
        Condition, Finding, State,
        book::Book,
        clock::{Clock, boot_now},
    },
    metrics::Metrics,
    proof::canary::Canary,
    signals::{Detector, SIGNALS, kind_label},
    sinks::Outlets,
    source::capture::{Moment, Recorder},
    stream::Stream,
};

/// All stages between a source and the sinks. Does no I/O of its own but what enrichment reads.
pub struct Pipeline {
    enricher: Enricher,
    detectors: Vec<Box<dyn Detector>>,
    book: Book,
    stream: Stream,
    metrics: Arc<Metrics>,
    canary: Option<Canary>,
    conditions: Vec<Condition>,
    /// Conditions that wait for names, to be tried again with the next tick.
    unnamed: Vec<Condition>,
    /// Writes down what comes in.
    recorder: Option<Recorder>,
    /// The clocks of the node, when they are not this one's.
    clock: Option<Clock>,
}

/// Conditions that may wait for names; one more goes without.
const MOST_UNNAMED: usize = 64;
/// Age (ns) at which a condition goes without: names take milliseconds, and are sent later too.
const WAIT_FOR_NAMES: u64 = 1_000_000_000;

/// Where a record comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// A hook told it.
    Hook,
    /// It stands for events the kernel side held back.
    Sum,
    /// It was there before the hooks.
    Seed,
}

impl Pipeline {
    /// A pipeline with a detector for each signal.
    #[must_use]
    pub fn new(config: &Config, enricher: Enricher, metrics: Arc<Metrics>) -> Self {
        let detectors = SIGNALS.iter().map(|signal| (signal.detector)(config)).collect();
        Self {
            enricher,
            detectors,
            book: Book::new(&config.findings),
            stream: Stream::new(&config.events),
            metrics,
            canary: None,
            conditions: Vec::new(),
            unnamed: Vec::new(),
            recorder: None,
            clock: None,
        }
    }

    /// Sets the canary free, if there is one: its events end here.
    pub fn watch_canary(&mut self, canary: Option<Canary>) {
        self.canary = canary;
    }

    /// Goes by other thresholds from now on, and keeps all that it knows.
    pub fn reconfigure(&mut self, config: &Config) {
        self.detectors.iter_mut().for_each(|detector| detector.reconfigure(config));
        self.book.reconfigure(&config.findings);
        self.stream.reconfigure(&config.events);
    }

    /// A pipeline for what a capture holds, that begins at a moment of its node.
    #[must_use]
    pub fn replaying(config: &Config, began: Moment, metrics: Arc<Metrics>) -> Self {
        let pipeline = Self::new(config, Enricher::offline(), metrics);
        Self { clock: Some(began.clock()), ..pipeline }
    }

    /// One that also writes down what comes in.
    #[must_use]
    pub fn with_recorder(self, recorder: Option<Recorder>) -> Self {
        Self { recorder, ..self }
    }

    /// Takes the time of the node that a capture is of.
    pub fn replay_tick(&mut self, moment: Moment, outlets: &Outlets) {
        self.clock = Some(moment.clock());
        self.tick(moment.at, outlets);
    }

    /// Takes the path of a cgroup of that node.
    pub fn replay_cgroup(&mut self, id: u64, path: String) {
        self.enricher.learn_cgroup(id, path);
    }

    /// Takes one wire record of the kernel side.
    pub fn record(&mut self, bytes: &[u8], outlets: &Outlets) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(bytes);
        }
        self.take(bytes, Origin::Hook, outlets);
    }

    /// Takes one wire record that stands for events the kernel side held back.
    pub fn summed(&mut self, bytes: &[u8], outlets: &Outlets) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(bytes);
        }
        self.take(bytes, Origin::Sum, outlets);
    }

    /// Takes one wire record of what was there before the hooks. The kernel side never counted it,
    /// so it is counted apart.
    pub fn seed(&mut self, bytes: &[u8], outlets: &Outlets) {
        if let Some(recorder) = &mut self.recorder {
            recorder.seed(bytes);
        }
        self.take(bytes, Origin::Seed, outlets);
    }

    fn take(&mut self, bytes: &[u8], origin: Origin, outlets: &Outlets) {
        let event = match decode(bytes) {
            Ok(event) => event,
            Err(error) => return self.metrics.decode_error(error),
        };
        // The first two bytes are the kind, or it would not have decoded.
        let kind = bytes.first_chunk().map_or(0, |kind| u16::from_ne_bytes(*kind));
        if self.canary.as_mut().is_some_and(|canary| canary.takes(kind, &event.context)) {
            return;
        }
        if let Some((signal, kind)) = kind_label(kind) {
            self.count(origin, signal, kind, &event);
        }
        self.metrics.histograms.observe(&event);
        self.enricher.remember(&event);
        if let Some(detector) = self.detectors.get_mut(usize::from(kind >> 8)) {
            detector.observe(&event, &mut self.conditions);
        }
        self.raise(event.context.at, outlets);
        if outlets.want_events() && origin != Origin::Seed {
            let clock = self.clock.unwrap_or_else(Clock::now);
            self.stream.take(kind, &event, clock, outlets);
        }
    }

    fn count(&self, origin: Origin, signal: &str, kind: &str, event: &Event) {
        match origin {
            Origin::Hook => {
                // A replay does not wait for its events.
                if self.clock.is_none() {
                    self.metrics.histograms.decoded(signal, event.context.at, boot_now());
                }
                self.metrics.event(signal, kind);
                self.metrics.summed(signal, event.count() - 1);
            }
            Origin::Sum => self.metrics.summed(signal, event.count()),
            Origin::Seed => self.metrics.seeded(signal),
        }
    }

    /// Hands over what was summed up of events until now: there will be no more.
    pub fn finish(&mut self, outlets: &Outlets) {
        self.stream.finish(self.clock.unwrap_or_else(Clock::now), outlets);
    }

    /// Takes something a poller saw. It belongs to no signal: whom it concerns takes it.
    pub fn fact(&mut self, event: &Event, outlets: &Outlets) {
        if let Some(recorder) = &mut self.recorder {
            recorder.fact(event);
        }
        match &event.body {
            Body::Polled(Fact::Blind(poller)) => self.metrics.poll_failed(poller),
            Body::Polled(fact) => self.metrics.polled(fact.label()),
            _ => {}
        }
        self.enricher.remember(event);
        for detector in &mut self.detectors {
            detector.observe(event, &mut self.conditions);
        }
        self.raise(event.context.at, outlets);
    }

    /// Takes the time: renews what holds, resolves what is over.
    pub fn tick(&mut self, now: BootNs, outlets: &Outlets) {
        if let Some(canary) = &mut self.canary {
            canary.tick();
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.tick(now);
        }
        for detector in &mut self.detectors {
            detector.tick(now, &mut self.conditions);
        }
        // The older first.
        self.unnamed.append(&mut self.conditions);
        self.conditions = std::mem::take(&mut self.unnamed);
        self.raise(now, outlets);
        for finding in self.book.expire(now) {
            self.send(finding, outlets);
        }
        self.stream.tick(now, self.clock.unwrap_or_else(Clock::now), outlets);
        self.metrics.observe_state(&self.enricher, &self.detectors, &self.book);
    }

    fn raise(&mut self, now: BootNs, outlets: &Outlets) {
        if self.conditions.is_empty() {
            return;
        }
        let clock = self.clock.unwrap_or_else(Clock::now);
        for mut condition in std::mem::take(&mut self.conditions) {
            self.detectors.iter_mut().for_each(|detector| detector.hear(&condition));
            let named = self.enricher.name_places(&mut condition);
            let waits = now.saturating_sub(condition.at) < WAIT_FOR_NAMES;
            if !named && waits && self.unnamed.len() < MOST_UNNAMED {
                self.unnamed.push(condition);
                continue;
            }
            self.write_down_cgroups(&condition);
            let (signal, at) = (condition.rule.signal, condition.at);
            let describe = |condition: &Condition| self.enricher.describe(condition);
            if let Some(finding) = self.book.hold(condition, clock, describe) {
                let fired = self.send(finding, outlets);
                if fired && self.clock.is_none() {
                    self.metrics.histograms.found(signal, at, boot_now());
                }
            }
        }
    }

    /// The paths of the cgroups that a finding is about are known here only.
    fn write_down_cgroups(&mut self, condition: &Condition) {
        let Some(recorder) = &mut self.recorder else { return };
        let who = &condition.who;
        for id in [who.context.cgroup, who.limit_owner].into_iter().flatten() {
            if recorder.wants(id)
                && let Some(path) = self.enricher.cgroup_path(id)
            {
                recorder.cgroup(id, path);
            }
        }
    }

    /// Hands a finding to the sinks; whether it is one that fires, for the first time.
    fn send(&self, finding: Finding, outlets: &Outlets) -> bool {
        let fired = finding.state == State::Firing && finding.revision == 1;
        if fired {
            self.metrics.fired(finding.rule, finding.severity);
        }
        outlets.finding(finding);
        fired
    }
}

#[cfg(test)]
mod tests;
