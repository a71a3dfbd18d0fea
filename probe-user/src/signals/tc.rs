//! tc: qdiscs and filters that are written again and again.

use probe_common::{
    tc::{LinkGoneRecord, TcRecord, rtm},
    wire::{Header, flag, kind, signal},
};
use serde::Serialize;

use super::Signal;
use crate::{
    decode::{self, DecodeError},
    event::{self, Body, BootNs, Comm, Event},
    findings::{Interface, Who},
};

mod detect;
mod directions;
mod duplicates;
pub mod evidence;
mod foreign;
mod gone;
mod hooks;
pub mod link;
mod owners;
mod pair;
mod point;
mod points;
mod programs;
mod rules;
mod side;
mod sides;
mod slots;
mod sweep;

use hooks::{LINK_GONE, REQUESTS, TCX, XDP};
use programs::{Bpf, Program};
use rules::{
    ASYMMETRY, ATTACH_FAILING, DUPLICATE_PROGRAM, FOREIGN_OVERWRITE, FOREIGN_REMOVAL,
    HANDLE_TOGGLE, PRIO_LEAK, REWRITE_RATE, SWEEP,
};

pub static SIGNAL: Signal = Signal {
    wire: signal::TC,
    name: "tc",
    hooks: &[REQUESTS, LINK_GONE, TCX, XDP],
    kinds: &[
        (kind::TC_REQUEST, "request"),
        (kind::TC_LINK_GONE, "link_gone"),
        (kind::TC_BPF_ATTACH, "bpf_attach"),
    ],
    rules: &[
        &REWRITE_RATE,
        &HANDLE_TOGGLE,
        &ASYMMETRY,
        &SWEEP,
        &ATTACH_FAILING,
        &PRIO_LEAK,
        &FOREIGN_REMOVAL,
        &FOREIGN_OVERWRITE,
        &DUPLICATE_PROGRAM,
    ],
    decode: decode_record,
    detector: |config| Box::new(detect::TcDetector::new(&config.tc)),
};

/// What a tc request did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// `RTM_NEWQDISC`, `RTM_NEWTFILTER`, or a program attached: added, changed or replaced.
    Write,
    /// `RTM_DELQDISC`, `RTM_DELTFILTER`, or a program detached.
    Delete,
}

/// What a tc request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    Qdisc,
    Filter,
    /// A program attached by TCX, netkit or XDP.
    Program,
}

impl Object {
    /// The name tc and bpftool have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qdisc => "qdisc",
            Self::Filter => "filter",
            Self::Program => "program",
        }
    }
}

/// What the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Done,
    /// Positive errno.
    Failed(i32),
    /// The rung cannot see the code; the request had no ext-ack sentence, so it most likely worked.
    Unknown,
    /// The rung cannot see the code, but the kernel gave a sentence.
    Refused,
}

/// A change of tc state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TcChange {
    Request(TcRequest),
    /// A clsact or a filter that the snapshot at the agent's start found, told as the request that
    /// would make it; of an interface's filters first, its clsact last. It says what was there when
    /// the look at the interface began, and `duration_ns` how long the look took.
    Seeded(TcRequest),
    /// An interface went away with all it had.
    LinkGone {
        ifindex: i32,
    },
}

/// A request that changes a qdisc or a filter, or attaches a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TcRequest {
    pub operation: Operation,
    pub object: Object,
    pub answer: Answer,
    /// Cookie of the network namespace; 0 when this kernel has none.
    pub netns_cookie: u64,
    pub interface: Interface,
    /// `tcm_parent`, or one of the attach points of [`programs`].
    pub parent: u32,
    /// Priority of the filter; 0 for a qdisc, or when the kernel chooses.
    pub prio: u16,
    /// `tcm_handle` as asked; 0 when the kernel chooses.
    pub handle: u32,
    /// `NLM_F_EXCL`: the kernel refuses it when the object is there already.
    pub exclusive: bool,
    /// `clsact`, `bpf`, ...
    pub kind: Option<String>,
    /// The kernel's ext-ack sentence.
    pub message: Option<String>,
    /// Time in the kernel (ns); `None` when not measured.
    pub duration_ns: Option<u64>,
    /// The process that started the writer.
    #[serde(serialize_with = "event::starter")]
    pub started_by: Option<(u32, Comm)>,
    /// When the writer's process started, and when the one that started it did; `None` when unknown.
    pub writer_start: Option<BootNs>,
    pub starter_start: Option<BootNs>,
    /// The program it is about, where there is one.
    pub bpf: Bpf,
}

impl TcRequest {
    /// Whether it adds a filter at a priority that the kernel chooses: one more, never the same again.
    fn lets_the_kernel_choose(&self) -> bool {
        self.object == Object::Filter && self.prio == 0
    }

    /// Whether the interface has another name than when `before` was noted: its index is used again,
    /// and the end of the first was not seen (tracepoint rung).
    fn is_of_another_interface(&self, before: &Who) -> bool {
        self.renames(before.interface.as_ref().and_then(|interface| interface.name.as_ref()))
    }

    /// Whether the interface has another name than the one that is known.
    fn renames(&self, known: Option<&String>) -> bool {
        known.zip(self.interface.name.as_ref()).is_some_and(|(known, new)| known != new)
    }
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    if header.kind == kind::TC_LINK_GONE {
        let record: LinkGoneRecord = decode::read(header.kind, bytes)?;
        return Ok(Body::Tc(TcChange::LinkGone { ifindex: record.ifindex }));
    }
    if header.kind == kind::TC_BPF_ATTACH {
        return programs::decode(header, bytes);
    }
    let record: TcRecord = decode::read(header.kind, bytes)?;
    let message = event::text(&record.message);
    let answer = match (header.flags & flag::RET_UNKNOWN != 0, record.ret, &message) {
        (true, _, None) => Answer::Unknown,
        (true, _, Some(_)) => Answer::Refused,
        (false, 0.., _) => Answer::Done,
        (false, code, _) => Answer::Failed(code.saturating_neg()),
    };
    let known = |ns: u64| (ns != 0).then_some(ns);
    let request = TcRequest {
        operation: match record.nlmsg_type {
            rtm::DELQDISC | rtm::DELTFILTER => Operation::Delete,
            _ => Operation::Write,
        },
        object: match record.nlmsg_type {
            rtm::NEWQDISC | rtm::DELQDISC => Object::Qdisc,
            _ => Object::Filter,
        },
        answer,
        netns_cookie: record.netns_cookie,
        interface: Interface { index: record.ifindex, name: event::text(&record.ifname) },
        parent: record.parent,
        prio: (record.info >> 16) as u16,
        handle: record.handle,
        exclusive: record.nlmsg_flags & libc::NLM_F_EXCL as u16 != 0,
        kind: event::text(&record.kind),
        message,
        duration_ns: known(record.duration_ns),
        started_by: (record.parent_tgid != 0)
            .then_some((record.parent_tgid, Comm(record.parent_comm))),
        writer_start: known(record.started_ns),
        starter_start: known(record.parent_started_ns),
        bpf: Bpf {
            program: Program::read(&record.program, event::text(&record.source)).map(Box::new),
            ..Bpf::default()
        },
    };
    Ok(Body::Tc(match header.flags & flag::SEEDED {
        0 => TcChange::Request(request),
        _ => TcChange::Seeded(request),
    }))
}

/// Who sent a request, and to which interface.
fn who(event: &Event, request: &TcRequest) -> Who {
    Who {
        context: event.context,
        parent: request.started_by,
        interface: Some(request.interface.clone()),
        limit_owner: None,
    }
}

/// Notes who sent the latest request. A tool that outlived its starter tells of nobody: then whoever
/// was known stays.
fn note_who(known: &mut Who, event: &Event, request: &TcRequest) {
    if known.context.pid == 0 || owners::Agent::behind(event, request).is_some() {
        *known = who(event, request);
    }
}

#[cfg(test)]
pub(super) mod tests;
