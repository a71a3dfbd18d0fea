//! What waits on the disk, and what became of it there.

use std::time::Duration;

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::catalog::sinks;
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
        Ok(Self {
            usable: sinks::SPOOL_USABLE.register(registry)?,
            records: sinks::SPOOL_RECORDS.register(registry)?,
            bytes: sinks::SPOOL_BYTES.register(registry)?,
            oldest: sinks::SPOOL_OLDEST.register(registry)?,
            damaged: sinks::SPOOL_DAMAGED.register(registry)?,
            skipped: sinks::SPOOL_SKIPPED.register(registry)?,
            failures: sinks::SPOOL_FAILURES.register(registry)?,
            dead: sinks::DEAD_LETTERS.register(registry)?,
        })
    }

    /// Drops those of one sink. That one is not there is no failure.
    pub fn forget(&self, sink: &str) {
        let _ = self.usable.remove_label_values(&[sink]);
        let _ = self.records.remove_label_values(&[sink]);
        let _ = self.bytes.remove_label_values(&[sink]);
        let _ = self.oldest.remove_label_values(&[sink]);
        for how in How::ALL {
            let _ = self.damaged.remove_label_values(&[sink, how.label()]);
        }
        let _ = self.skipped.remove_label_values(&[sink]);
        let _ = self.failures.remove_label_values(&[sink]);
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
