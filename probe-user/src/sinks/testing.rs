//! Sinks for tests.

use std::sync::{
    Arc,
    mpsc::{Receiver, channel},
};

use super::{
    Answer, Sinks, call,
    filter::Filter,
    record::{Kind, Record},
};
use crate::{
    findings::{self, Finding},
    metrics::Metrics,
    supervise::{End, Part, Supervisor},
};

pub const PART: Part = Part { name: "sink-test", end: End::Never, help: "", turns: None };

/// A record whose id is its number, with so many bytes of JSON.
pub fn record(number: usize, bytes: usize) -> Arc<Record> {
    let mut meta = Record::of_finding(findings::testing::finding()).meta;
    meta.id = number.to_string();
    Arc::new(Record::of_json(meta, format!("{{\"n\":\"{}\"}}", "x".repeat(bytes))))
}

/// The same, but an event.
pub fn event(number: usize, bytes: usize) -> Arc<Record> {
    let finding = record(number, bytes);
    let mut meta = finding.meta.clone();
    meta.kind = Kind::Event;
    Arc::new(Record::of_json(meta, finding.json().to_owned()))
}

/// The numbers of records.
pub fn numbers<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>) -> Vec<usize> {
    records.into_iter().map(|record| record.meta.id.parse().unwrap()).collect()
}

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

/// A sink called "test" that keeps the JSON of what its filter lets through.
pub fn telling(
    filter: Filter,
    patient: bool,
    metrics: &Arc<Metrics>,
) -> (Sinks, Receiver<serde_json::Value>) {
    let (keep, kept) = channel();
    let plan = call::plan("test", PART, move |record| {
        keep.send(serde_json::from_str(record.json()).unwrap()).unwrap();
        Answer::taken()
    });
    let mut sinks = Sinks::default();
    let mut supervisor = Supervisor::new(Arc::clone(metrics));
    sinks.start(super::Plan { filter, patient, ..plan }, metrics, &mut supervisor).unwrap();
    (sinks, kept)
}
