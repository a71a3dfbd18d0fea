//! The parts of the agent: which failed, and whether their loops turn.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use super::catalog::agent;
use crate::supervise::{End, Part, State};

/// Parts, by name.
pub struct Loops {
    failures: IntCounterVec,
    age: GaugeVec,
    stuck: IntGaugeVec,
}

impl Loops {
    /// Registers them; series come with the parts.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            failures: agent::PART_FAILURES.register(registry)?,
            age: agent::LOOP_AGE.register(registry)?,
            stuck: agent::LOOP_STUCK.register(registry)?,
        })
    }

    /// A part begins: its series are there from now on.
    pub fn register(&self, part: &Part) {
        if part.end == End::Any {
            self.failures.with_label_values(&[part.name]);
        }
        if part.turns.is_some() {
            self.age.with_label_values(&[part.name]);
            self.stuck.with_label_values(&[part.name]);
        }
    }

    /// A loop is gone: its series are a moment later. That none is there is no failure.
    pub fn forget(&self, name: &str) {
        let _ = self.age.remove_label_values(&[name]);
        let _ = self.stuck.remove_label_values(&[name]);
    }

    /// Counts the failure of a part.
    pub fn failed(&self, part: &str) {
        self.failures.with_label_values(&[part]).inc();
    }

    /// Takes over how a loop is.
    pub fn observe(&self, state: &State) {
        self.age.with_label_values(&[state.name]).set(state.age.as_secs_f64());
        self.stuck.with_label_values(&[state.name]).set(i64::from(state.stuck));
    }
}
