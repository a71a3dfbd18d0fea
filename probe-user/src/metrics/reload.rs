//! How often the configuration was read again, and what became of it.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, IntCounterVec, Registry};

use super::catalog::agent;

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
    last_success: Gauge,
}

impl ReloadMetrics {
    /// Registers them. The configuration was read well once: the agent runs.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            reloads: agent::CONFIG_RELOADS.register(registry)?,
            last_success: agent::CONFIG_LAST_SUCCESS.register(registry)?,
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
        self.last_success.set(now.as_secs_f64());
    }
}
