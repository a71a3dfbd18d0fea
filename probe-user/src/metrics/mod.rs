//! The agent's metrics. Every label comes from a registry of the program, so none can grow without
//! bound, whatever a node does.

use prometheus::{
    Encoder, GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use crate::{decode::DecodeError, findings::Severity, source::capture::Captured};

mod canary;
mod door;
mod histograms;
pub mod http;
mod loops;
mod observe;
pub mod spool;
mod zero;

use canary::CanaryMetrics;
use histograms::Histograms;
use loops::Loops;
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
    ready_seconds: GaugeVec,
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
    pub spool: SpoolMetrics,
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Metrics {
    /// Registers every metric, with every series that can be known beforehand at zero.
    ///
    /// # Errors
    /// When two metrics have one name, which a test excludes.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let counters = |name, help, labels: &[&str]| {
            register(r, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauges = |name, help, labels: &[&str]| {
            register(r, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let counter = |name, help| register(r, IntCounter::new(name, help));
        let metrics = Self {
            events: counters(
                "nodeprobe_events_total",
                "Events decoded, by signal and kind.",
                &["signal", "kind"],
            )?,
            decode_errors: counters(
                "nodeprobe_decode_errors_total",
                "Records that could not be decoded, by reason.",
                &["reason"],
            )?,
            findings: counters(
                "nodeprobe_findings_total",
                "Findings that fired, by rule and the severity they fired with.",
                &["rule", "severity"],
            )?,
            firing: gauges(
                "nodeprobe_findings_firing",
                "Findings firing now, by rule and severity.",
                &["rule", "severity"],
            )?,
            findings_dropped: counter(
                "nodeprobe_findings_dropped_total",
                "Findings that had no room among those that fire.",
            )?,
            kernel_events: counters(
                "nodeprobe_kernel_events_total",
                "Events at the kernel's hooks, by what became of them: seen = delivered + suppressed + lost.",
                &["signal", "outcome"],
            )?,
            lost: counters(
                "nodeprobe_events_lost_total",
                "Events that hooks saw and could not deliver, by reason.",
                &["signal", "reason"],
            )?,
            tracked: gauges(
                "nodeprobe_tracked",
                "Things a detector, or the book of findings, keeps state for, by signal.",
                &["signal"],
            )?,
            evicted: counters(
                "nodeprobe_evicted_total",
                "Things a detector, or the book of findings, forgot or left out for want of room, by signal.",
                &["signal"],
            )?,
            coverage: gauges(
                "nodeprobe_signal_coverage",
                "1 for the rung each hook uses; rung=\"none\" sees nothing.",
                &["signal", "hook", "rung"],
            )?,
            ready_seconds: register(
                r,
                GaugeVec::new(
                    Opts::new(
                        "nodeprobe_ready_seconds",
                        "Time from exec until all hooks were attached.",
                    ),
                    &[],
                ),
            )?,
            enrich_misses: counters(
                "nodeprobe_enrich_misses_total",
                "Lookups that found nothing, by what was looked for.",
                &["lookup"],
            )?,
            seeded: counters(
                "nodeprobe_seeded_total",
                "Things looked up that no hook told of (sockets, clsact qdiscs, filters), by signal: there before the hooks, or after records were lost.",
                &["signal"],
            )?,
            summed: counters(
                "nodeprobe_summed_events_total",
                "Suppressed events the agent was then told of in sum, by signal; rtnl tells its own in records.",
                &["signal"],
            )?,
            polled: counters(
                "nodeprobe_polled_total",
                "Facts looked up by pollers, by kind.",
                &["fact"],
            )?,
            poll_failures: counters(
                "nodeprobe_poll_failures_total",
                "Looks of a poller that were not whole for want of fds or memory.",
                &["poller"],
            )?,
            captured: counters(
                "nodeprobe_capture_entries_total",
                "Entries for the capture file (run --capture), by what became of them.",
                &["outcome"],
            )?,
            symbolized: counters(
                "nodeprobe_symbolized_frames_total",
                "Frames of user stacks that were looked up, by outcome; unreadable and no_room also count whole stacks.",
                &["outcome"],
            )?,
            seed_misses: counter(
                "nodeprobe_seed_misses_total",
                "Parts of /proc and network namespaces that could not be read when the agent looked for those.",
            )?,
            sink_records: counters(
                "nodeprobe_sink_records_total",
                "Findings handed to a sink, by outcome: queued = written + those that wait.",
                &["sink", "outcome"],
            )?,
            sink_failures: counters(
                "nodeprobe_sink_failures_total",
                "Tries of a sink that failed and are repeated, by reason.",
                &["sink", "reason"],
            )?,
            scrapes: counter("nodeprobe_scrapes_total", "Times metrics were read.")?,
            accept_failures: counter(
                "nodeprobe_metrics_accept_failures_total",
                "Times a connection to the metrics endpoint could not be taken in, mostly for want of fds.",
            )?,
            histograms: Histograms::new(r)?,
            loops: Loops::new(r)?,
            canary: CanaryMetrics::new(r)?,
            spool: SpoolMetrics::new(r)?,
            registry: registry.clone(),
        };
        metrics.build_info(r)?;
        metrics.start_at_zero();
        Ok(metrics)
    }

    fn build_info(&self, registry: &Registry) -> prometheus::Result<()> {
        let options = Opts::new("nodeprobe_build_info", "1, labelled with the build.");
        let info = register(registry, IntGaugeVec::new(options, &["version", "revision"]))?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("NODEPROBE_REVISION")]).set(1);
        Ok(())
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
