//! Shorthands for detector tests: time is an argument, so 25 minutes take a millisecond.

use super::Detector;
use crate::{
    event::{Body, BootNs, Comm, Context, Event},
    findings::{Condition, Severity},
};

pub const SECOND: BootNs = 1_000_000_000;
pub const MINUTE: BootNs = 60 * SECOND;

pub fn comm(name: &str) -> Comm {
    let mut bytes = [0; 16];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Comm(bytes)
}

/// A detector and what it has said.
pub struct Bench {
    pub detector: Box<dyn Detector>,
    pub context: Context,
}

impl Bench {
    pub fn new(detector: Box<dyn Detector>) -> Self {
        let context = Context {
            pid: 812,
            tid: 812,
            cgroup: Some(77),
            netns: Some(4_026_531_840),
            comm: comm("tc"),
            at: 0,
        };
        Self { detector, context }
    }

    /// Gives it an event at a time and returns what it raises.
    pub fn at(&mut self, at: BootNs, body: Body) -> Vec<Condition> {
        self.take(at, None, body)
    }

    /// Gives it events that came up to a time and are told in sum.
    pub fn sum(&mut self, at: BootNs, events: u32, body: Body) -> Vec<Condition> {
        self.take(at, Some(events), body)
    }

    fn take(&mut self, at: BootNs, sum: Option<u32>, body: Body) -> Vec<Condition> {
        let mut out = Vec::new();
        let event = Event { context: Context { at, ..self.context }, sum, body };
        self.detector.observe(&event, &mut out);
        out
    }

    /// Gives it the time and returns what holds.
    pub fn tick(&mut self, now: BootNs) -> Vec<Condition> {
        let mut out = Vec::new();
        self.detector.tick(now, &mut out);
        out
    }
}

/// Rule and severity of each condition.
pub fn verdicts(conditions: &[Condition]) -> Vec<(&'static str, Severity)> {
    conditions.iter().map(|condition| (condition.rule.name, condition.severity)).collect()
}
