//! How often the configuration was read again, and what became of it.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use super::register;

/// What became of a configuration that was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// The old one stays.
    Rejected,
    /// It says the same as before, or only what a restart changes.
    Unchanged,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Applied, Self::Rejected, Self::Unchanged];

    /// The outcome as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Reloads.
pub struct ReloadMetrics {
    reloads: IntCounterVec,
    last_success: GaugeVec,
}

impl ReloadMetrics {
    /// Registers them. The configuration was read well once: the agent runs.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let reloads = Opts::new(
            "nodeprobe_config_reloads_total",
            "Times the configuration was read again, by what became of it.",
        );
        let last_success = Opts::new(
            "nodeprobe_config_last_reload_success_timestamp_seconds",
            "When the configuration was last read and not rejected, in Unix time.",
        );
        let metrics = Self {
            reloads: register(registry, IntCounterVec::new(reloads, &["outcome"]))?,
            last_success: register(registry, GaugeVec::new(last_success, &[]))?,
        };
        for outcome in Outcome::ALL {
            metrics.reloads.with_label_values(&[outcome.label()]);
        }
        metrics.succeeded();
        Ok(metrics)
    }

    /// Counts a reload.
    pub fn observe(&self, outcome: Outcome) {
        self.reloads.with_label_values(&[outcome.label()]).inc();
        if outcome != Outcome::Rejected {
            self.succeeded();
        }
    }

    fn succeeded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_success.with_label_values(&[] as &[&str]).set(now.as_secs_f64());
    }
}
