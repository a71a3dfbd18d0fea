//! The agent's metrics. Every label comes from a registry of the program, so none can grow without
//! bound, whatever a node does.

use prometheus::{
    CounterVec, Encoder, Gauge, IntCounter, IntCounterVec, IntGaugeVec, Registry, TextEncoder,
};

use crate::{decode::DecodeError, findings::Severity, source::capture::Captured};

pub mod access;
mod canary;
pub mod catalog;
mod door;
mod guests;
mod histograms;
pub mod http;
pub mod kubernetes;
mod loops;
mod observe;
mod process;
pub mod reload;
pub mod spool;
mod zero;

use canary::CanaryMetrics;
use histograms::Histograms;
use kubernetes::KubernetesMetrics;
use loops::Loops;
use process::Process;
use reload::ReloadMetrics;
use spool::SpoolMetrics;

/// Everything the agent counts.
pub struct Metrics {
    registry: Registry,
    events: IntCounterVec,
    decode_errors: IntCounterVec,
    findings: IntCounterVec,
    firing: IntGaugeVec,
    findings_dropped: IntCounter,
    kernel_events: IntCounterVec,
    lost: IntCounterVec,
    tracked: IntGaugeVec,
    evicted: IntCounterVec,
    coverage: IntGaugeVec,
    ready_seconds: Gauge,
    enrich_misses: IntCounterVec,
    seeded: IntCounterVec,
    summed: IntCounterVec,
    polled: IntCounterVec,
    poll_failures: IntCounterVec,
    captured: IntCounterVec,
    pub symbolized: IntCounterVec,
    pub seed_misses: IntCounter,
    pub sink_records: IntCounterVec,
    pub sink_failures: IntCounterVec,
    pub scrapes: IntCounter,
    pub accept_failures: IntCounter,
    pub histograms: Histograms,
    pub loops: Loops,
    pub canary: CanaryMetrics,
    process: Process,
    program_seconds: CounterVec,
    program_runs: IntCounterVec,
    program_left_out: IntCounterVec,
    map_bytes: IntGaugeVec,
    pub reload: ReloadMetrics,
    pub kubernetes: KubernetesMetrics,
    pub spool: SpoolMetrics,
}

impl Metrics {
    /// Registers every metric, with every series that can be known beforehand at zero.
    ///
    /// # Errors
    /// When two metrics have one name, which a test excludes.
    pub fn new() -> prometheus::Result<Self> {
        use catalog::{agent, detection, kernel, sinks};
        let registry = Registry::new();
        let r = &registry;
        let metrics = Self {
            events: detection::EVENTS.register(r)?,
            decode_errors: detection::DECODE_ERRORS.register(r)?,
            findings: detection::FINDINGS.register(r)?,
            firing: detection::FINDINGS_FIRING.register(r)?,
            findings_dropped: detection::FINDINGS_DROPPED.register(r)?,
            kernel_events: kernel::KERNEL_EVENTS.register(r)?,
            lost: kernel::LOST.register(r)?,
            tracked: detection::TRACKED.register(r)?,
            evicted: detection::EVICTED.register(r)?,
            coverage: kernel::COVERAGE.register(r)?,
            ready_seconds: agent::READY_SECONDS.register(r)?,
            enrich_misses: agent::ENRICH_MISSES.register(r)?,
            seeded: kernel::SEEDED.register(r)?,
            summed: kernel::SUMMED.register(r)?,
            polled: agent::POLLED.register(r)?,
            poll_failures: agent::POLL_FAILURES.register(r)?,
            captured: agent::CAPTURED.register(r)?,
            symbolized: agent::SYMBOLIZED.register(r)?,
            seed_misses: kernel::SEED_MISSES.register(r)?,
            sink_records: sinks::RECORDS.register(r)?,
            sink_failures: sinks::FAILURES.register(r)?,
            scrapes: agent::SCRAPES.register(r)?,
            accept_failures: agent::ACCEPT_FAILURES.register(r)?,
            histograms: Histograms::new(r)?,
            loops: Loops::new(r)?,
            canary: CanaryMetrics::new(r)?,
            process: Process::new(r)?,
            program_seconds: kernel::PROGRAM_SECONDS.register(r)?,
            program_runs: kernel::PROGRAM_RUNS.register(r)?,
            program_left_out: kernel::PROGRAM_LEFT_OUT.register(r)?,
            map_bytes: kernel::MAP_BYTES.register(r)?,
            reload: ReloadMetrics::new(r)?,
            kubernetes: KubernetesMetrics::new(r)?,
            spool: SpoolMetrics::new(r)?,
            registry: registry.clone(),
        };
        let info: IntGaugeVec = agent::BUILD_INFO.register(r)?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("NODEPROBE_REVISION")]).set(1);
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// Counts a decoded event.
    pub fn event(&self, signal: &str, kind: &str) {
        self.events.with_label_values(&[signal, kind]).inc();
    }

    /// Counts a decoded record of what was there before the hooks.
    pub fn seeded(&self, signal: &str) {
        self.seeded.with_label_values(&[signal]).inc();
    }

    /// Counts events that were told in sum.
    pub fn summed(&self, signal: &str, events: usize) {
        if events > 0 {
            self.summed.with_label_values(&[signal]).inc_by(events as u64);
        }
    }

    /// Counts a fact that a poller looked up.
    pub fn polled(&self, fact: &str) {
        self.polled.with_label_values(&[fact]).inc();
    }

    /// Counts a look of a poller that was not whole.
    pub fn poll_failed(&self, poller: &str) {
        self.poll_failures.with_label_values(&[poller]).inc();
    }

    /// Counts entries for a capture file.
    pub fn captured(&self, outcome: Captured, entries: u64) {
        self.captured.with_label_values(&[outcome.label()]).inc_by(entries);
    }

    /// Counts a record that could not be decoded.
    pub fn decode_error(&self, error: DecodeError) {
        self.decode_errors.with_label_values(&[error.label()]).inc();
    }

    /// Counts a finding that fired.
    pub fn fired(&self, rule: &str, severity: Severity) {
        self.findings.with_label_values(&[rule, severity.name()]).inc();
    }

    /// Findings of a rule that fired.
    #[must_use]
    pub fn fired_total(&self, rule: &str) -> u64 {
        let of =
            |severity: Severity| self.findings.with_label_values(&[rule, severity.name()]).get();
        Severity::ALL.into_iter().map(of).sum()
    }

    /// All metrics in the Prometheus text format.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn encode(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
