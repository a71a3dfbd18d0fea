//! How the API server is followed.

use prometheus::{IntCounterVec, IntGauge, Registry};

use super::catalog::agent;
use crate::sinks::backend::Reason;

/// What is counted of it.
#[derive(Clone)]
pub struct KubernetesMetrics {
    /// Whether it tells changes of pods now.
    pub watching: IntGauge,
    /// Pods known, also those that are gone.
    pub pods: IntGauge,
    failures: IntCounterVec,
}

impl KubernetesMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            watching: agent::KUBERNETES_WATCHING.register(registry)?,
            pods: agent::KUBERNETES_PODS.register(registry)?,
            failures: agent::KUBERNETES_FAILURES.register(registry)?,
        };
        for reason in Reason::ALL {
            metrics.failures.with_label_values(&[reason.label()]);
        }
        Ok(metrics)
    }

    /// Counts a question without an answer.
    pub fn failed(&self, reason: Reason) {
        self.failures.with_label_values(&[reason.label()]).inc();
    }
}
