//! Sinks for tests.

use std::sync::{
    Arc,
    mpsc::{Receiver, channel},
};

use super::{Answer, Sinks, call};
use crate::{
    findings::Finding,
    metrics::Metrics,
    supervise::{End, Part, Supervisor},
};

pub const PART: Part = Part { name: "sink-test", end: End::Never, help: "", turns: None };

/// A sink called "test" that keeps what it gets.
pub fn keeping(patient: bool, metrics: &Arc<Metrics>) -> (Sinks, Receiver<Finding>) {
    let (keep, kept) = channel();
    let plan = call::plan("test", PART, move |record| {
        keep.send(record.finding().unwrap().clone()).unwrap();
        Answer::taken()
    });
    let mut sinks = Sinks::default();
    let mut supervisor = Supervisor::new(Arc::clone(metrics));
    sinks.start(super::Plan { patient, ..plan }, metrics, &mut supervisor).unwrap();
    (sinks, kept)
}
