//! Sinks for tests.

use std::sync::{
    Arc,
    mpsc::{Receiver, channel},
};

use tokio::runtime::{self, Runtime};

use super::{
    Answer, Backend, Sinks, call,
    filter::Filter,
    kinds::Site,
    record::{Kind, Record},
};
use crate::{
    enrich::subject::{Container, Parent, Pod, Process},
    findings::{self, Finding, Interface, testing::finding},
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

/// A name that anybody can give a process.
pub const COMM: &str = "a\"b\\c<>'\n\u{1b}[\u{fffd}\u{202e}";

/// A finding about names that were chosen to break what does not escape, and are as long as they may be.
pub fn hostile_finding() -> Finding {
    let name = |name: &str| Some(name.to_owned());
    let mut finding = finding();
    finding.summary = format!("{COMM} cannot fork");
    let subject = &mut finding.subject;
    subject.process = Some(Process {
        pid: 812,
        comm: name(COMM),
        exe: name(&format!("/{}", "x".repeat(255))),
        cmdline: name(&format!("{COMM} --flag")),
        parent: Some(Parent { pid: 40, comm: name("sh") }),
        ..Process::default()
    });
    let pod =
        Pod { name: name("web-0"), namespace: name("shop"), uid: "77-88".into(), ..Pod::default() };
    subject.identity.pod = Some(pod);
    let id = "0123456789abcdef".repeat(4);
    subject.identity.container = Some(Container { id, name: name("app"), ..Container::default() });
    subject.interface = Some(Interface { index: 2, name: name(COMM) });
    subject.netns = Some(4_026_532_281);
    finding
}

/// The record of [`hostile_finding`].
pub fn hostile() -> Record {
    Record::of_finding(hostile_finding())
}

/// A sink of some kind with a runtime, as its thread would have it.
pub struct Bench {
    backend: Box<dyn Backend>,
    runtime: Runtime,
}

impl Bench {
    /// One with these settings (TOML), on node `node-1`.
    pub fn new<K: super::Kind>(settings: &str) -> Result<Self, String> {
        let config: K = toml::from_str(settings).map_err(|error| error.message().to_owned())?;
        let backend = config.open(&Site { sink: "test", node: "node-1".into() })?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Ok(Self { backend, runtime })
    }

    /// Hands a batch over.
    pub fn send(&mut self, batch: Vec<Record>) -> Answer {
        let batch: Vec<_> = batch.into_iter().map(Arc::new).collect();
        self.runtime.block_on(self.backend.send(&batch))
    }
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
