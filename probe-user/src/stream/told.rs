//! An event as JSON.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    event::{Body, Comm, Event},
    sinks::record::Meta,
};

/// Who did something, and where: as far as the kernel side says, nothing is looked up.
#[derive(Serialize)]
pub struct Who {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns: Option<u32>,
}

/// One event, with its body under the name of its signal.
#[derive(Serialize)]
pub struct Told<'a> {
    id: &'a str,
    time: Timestamp,
    signal: &'a str,
    kind: &'a str,
    /// Events that it stands for.
    count: u64,
    #[serde(flatten)]
    who: Who,
    #[serde(flatten)]
    body: &'a Body,
}

impl<'a> Told<'a> {
    /// An event that is filed by `meta`.
    #[must_use]
    pub fn new(meta: &'a Meta, event: &'a Event) -> Self {
        let context = &event.context;
        let known = |id: u32| (id != 0).then_some(id);
        Self {
            id: &meta.id,
            time: meta.at,
            signal: &meta.signal,
            kind: &meta.rule,
            count: event.count() as u64,
            who: Who {
                pid: known(context.pid),
                tid: known(context.tid),
                comm: context.comm.text(),
                cgroup_id: context.cgroup,
                netns: context.netns,
            },
            body: &event.body,
        }
    }
}

/// Who it was, at the end of a sentence; nothing where that is not known.
pub fn who(pid: u32, comm: Comm) -> String {
    match (pid, comm.text()) {
        (0, _) => String::new(),
        (pid, None) => format!(" by pid {pid}"),
        (pid, Some(comm)) => format!(" by {comm} ({pid})"),
    }
}
