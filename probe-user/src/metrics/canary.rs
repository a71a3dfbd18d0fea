//! What became of the events that the agent provokes itself.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use super::catalog::agent;
use crate::proof::canary::LABELS;

/// The canary's metrics, by signal.
pub struct CanaryMetrics {
    events: IntCounterVec,
    last_success: GaugeVec,
    failures: IntCounterVec,
    up: IntGaugeVec,
}

impl CanaryMetrics {
    /// Registers them, every series at zero.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            events: agent::CANARY_EVENTS.register(registry)?,
            last_success: agent::CANARY_LAST_SUCCESS.register(registry)?,
            failures: agent::CANARY_FAILURES.register(registry)?,
            up: agent::CANARY_UP.register(registry)?,
        };
        for signal in LABELS {
            metrics.events.with_label_values(&[signal]);
            metrics.last_success.with_label_values(&[signal]);
            metrics.failures.with_label_values(&[signal]);
            metrics.up.with_label_values(&[signal]);
        }
        Ok(metrics)
    }

    /// Counts an event of the agent's own.
    pub fn event(&self, signal: &str) {
        self.events.with_label_values(&[signal]).inc();
    }

    /// Notes that all events of an act came through.
    pub fn came_through(&self, signal: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_success.with_label_values(&[signal]).set(now.as_secs_f64());
        self.up.with_label_values(&[signal]).set(1);
    }

    /// Counts one that did not.
    pub fn failed(&self, signal: &str) {
        self.failures.with_label_values(&[signal]).inc();
        self.up.with_label_values(&[signal]).set(0);
    }
}
