//! What waits on the disk, and what became of it there.

use std::time::Duration;

use prometheus::{
    Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::register;
use crate::sinks::spool::How;

/// What becomes of a record that was refused, as metric labels.
pub const DEAD: [&str; 2] = ["kept", "lost"];

/// The metrics of spools, by sink.
pub struct SpoolMetrics {
    usable: IntGaugeVec,
    records: IntGaugeVec,
    bytes: IntGaugeVec,
    oldest: GaugeVec,
    damaged: IntCounterVec,
    skipped: IntCounterVec,
    failures: IntCounterVec,
    pub dead: IntCounterVec,
}

impl SpoolMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name, help, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauges =
            |name, help| register(registry, IntGaugeVec::new(Opts::new(name, help), &["sink"]));
        Ok(Self {
            usable: gauges(
                "nodeprobe_sink_spool_usable",
                "1 when a sink's spool can be written to; at 0 its findings end with the agent.",
            )?,
            records: gauges(
                "nodeprobe_sink_spool_records",
                "Records in a sink's spool that the other side does not have yet.",
            )?,
            bytes: gauges("nodeprobe_sink_spool_bytes", "What the files of a sink's spool take.")?,
            oldest: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "nodeprobe_sink_spool_oldest_seconds",
                        "How long the oldest record of a sink's spool has waited; 0 for none.",
                    ),
                    &["sink"],
                ),
            )?,
            damaged: counters(
                "nodeprobe_sink_spool_damaged_total",
                "Places in a sink's spool that could not be read: cut_short as by a loss of power, or corrupt.",
                &["sink", "how"],
            )?,
            skipped: counters(
                "nodeprobe_sink_spool_skipped_bytes_total",
                "Bytes of a sink's spool that could not be read and were skipped.",
                &["sink"],
            )?,
            failures: counters(
                "nodeprobe_sink_spool_failures_total",
                "Times a sink's spool could not be opened or written to; it is tried again.",
                &["sink"],
            )?,
            dead: counters(
                "nodeprobe_sink_dead_letters_total",
                "Records that the other side refused for good: kept in dead.jsonl, or lost.",
                &["sink", "outcome"],
            )?,
        })
    }

    /// Those of one sink, at zero.
    #[must_use]
    pub fn of(&self, sink: &str) -> SpoolMeters {
        SpoolMeters {
            usable: self.usable.with_label_values(&[sink]),
            records: self.records.with_label_values(&[sink]),
            bytes: self.bytes.with_label_values(&[sink]),
            oldest: self.oldest.with_label_values(&[sink]),
            damaged: How::ALL.map(|how| self.damaged.with_label_values(&[sink, how.label()])),
            skipped: self.skipped.with_label_values(&[sink]),
            failures: self.failures.with_label_values(&[sink]),
        }
    }
}

/// The metrics of one sink's spool.
pub struct SpoolMeters {
    pub usable: IntGauge,
    records: IntGauge,
    bytes: IntGauge,
    oldest: Gauge,
    damaged: [IntCounter; 2],
    skipped: IntCounter,
    pub failures: IntCounter,
}

impl SpoolMeters {
    /// Notes what waits.
    pub fn levels(&self, records: usize, bytes: u64, oldest: Duration) {
        self.records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.oldest.set(oldest.as_secs_f64());
    }

    /// Counts a place that could not be read.
    pub fn damaged(&self, how: How, bytes: u64) {
        for (known, counter) in How::ALL.iter().zip(&self.damaged) {
            counter.inc_by(u64::from(*known == how));
        }
        self.skipped.inc_by(bytes);
    }
}
