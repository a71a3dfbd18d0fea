//! bpf programs: which one a request is about, and those attached to an interface by TCX, netkit or
//! XDP. Their changes are made into requests, so that every rule of requests judges them too.

use probe_common::{
    bpf::{ProgramRecord, TcBpfRecord, operation, point},
    wire::Header,
};

use serde::{Serialize, Serializer};

use super::{Answer, Object, Operation, TcChange, TcRequest};
use crate::{
    decode::{self, DecodeError},
    event::{self, Body, Comm},
    findings::Interface,
};

// Attach points in the place of a `tcm_parent`: minor numbers of `ffff:` that no qdisc can have.
const SOMEWHERE: u32 = 0xffff_ff00;
const TCX_INGRESS: u32 = 0xffff_ff01;
const TCX_EGRESS: u32 = 0xffff_ff02;
const NETKIT_PRIMARY: u32 = 0xffff_ff03;
const NETKIT_PEER: u32 = 0xffff_ff04;
/// One program at a time; a new one takes its place.
const XDP: u32 = 0xffff_ff05;

/// What such an attach point is called.
#[must_use]
pub fn point_name(parent: u32) -> Option<&'static str> {
    Some(match parent {
        SOMEWHERE => "unknown",
        TCX_INGRESS => "tcx ingress",
        TCX_EGRESS => "tcx egress",
        NETKIT_PRIMARY => "netkit primary",
        NETKIT_PEER => "netkit peer",
        XDP => "xdp",
        _ => return None,
    })
}

/// A loaded program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Id of this load.
    pub id: u32,
    /// Its name; empty when it was given none.
    pub name: Comm,
    /// Digest of its instructions: the same for each load of the same code.
    #[serde(serialize_with = "hex")]
    pub tag: [u8; 8],
    /// Where `tc` says it comes from: `classifier.o:[section]`.
    pub source: Option<String>,
}

/// As bpftool prints it.
fn hex<S: Serializer>(tag: &[u8; 8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:016x}", u64::from_be_bytes(*tag)))
}

/// What is known of the program a request is about, and of the link that holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bpf {
    pub program: Option<Box<Program>>,
    /// Id of the link.
    pub link: Option<u32>,
    /// Id of the program whose place was taken.
    pub replaced: Option<u32>,
    /// The kernel did it because the last reference to a link went; who held it is not known.
    pub by_kernel: bool,
}

/// What holds one program beside others at an attach point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Priority of a filter; 0 for a qdisc, or when the kernel chose.
    Priority(u16),
    /// A program attached without a link, by its id.
    Program(u32),
    /// A link, by its id.
    Link(u32),
    /// All there is at this point, as it has only one.
    Only,
    /// Not known: the caller named a position.
    Unknown,
}

impl Program {
    /// The program in a record; `None` when it has none.
    #[must_use]
    pub fn read(record: &ProgramRecord, source: Option<String>) -> Option<Self> {
        let ProgramRecord { id, tag, name } = *record;
        (id != 0).then_some(Self { id, name: Comm(name), tag, source })
    }
}

impl TcRequest {
    /// What the request puts in, or takes out, at its attach point.
    #[must_use]
    pub fn place(&self) -> Place {
        match (&self.bpf, self.object, self.parent) {
            (_, Object::Qdisc | Object::Filter, _) => Place::Priority(self.prio),
            (.., XDP) => Place::Only,
            (Bpf { link: Some(link), .. }, ..) => Place::Link(*link),
            (Bpf { program: Some(program), .. }, ..) => Place::Program(program.id),
            _ => Place::Unknown,
        }
    }

    /// Name of the program where several share one attach point; empty for anything else.
    #[must_use]
    pub fn program_name(&self) -> Comm {
        match (self.object, &self.bpf.program) {
            (Object::Program, Some(program)) => program.name,
            _ => Comm::default(),
        }
    }
}

/// Decodes a change of a program by TCX, netkit or XDP.
///
/// # Errors
/// [`DecodeError`] when the record is cut short.
pub fn decode(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    let record: TcBpfRecord = decode::read(header.kind, bytes)?;
    let known = |id: u32| (id != 0).then_some(id);
    Ok(Body::Tc(TcChange::Request(TcRequest {
        operation: match record.operation {
            operation::DETACH => Operation::Delete,
            _ => Operation::Write,
        },
        object: Object::Program,
        answer: match record.ret {
            0.. => Answer::Done,
            code => Answer::Failed(code.saturating_neg()),
        },
        netns_cookie: record.netns_cookie,
        interface: Interface { index: record.ifindex, name: event::text(&record.ifname) },
        parent: match record.point {
            point::TCX_INGRESS => TCX_INGRESS,
            point::TCX_EGRESS => TCX_EGRESS,
            point::NETKIT_PRIMARY => NETKIT_PRIMARY,
            point::NETKIT_PEER => NETKIT_PEER,
            point::XDP => XDP,
            _ => SOMEWHERE,
        },
        prio: 0,
        handle: 0,
        exclusive: false,
        kind: None,
        message: event::text(&record.message),
        duration_ns: None,
        started_by: (record.parent_tgid != 0)
            .then_some((record.parent_tgid, Comm(record.parent_comm))),
        writer_start: None,
        starter_start: None,
        bpf: Bpf {
            program: Program::read(&record.program, None).map(Box::new),
            link: known(record.link_id),
            replaced: known(record.replaced_id),
            by_kernel: record.by_kernel != 0,
        },
    })))
}

#[cfg(test)]
mod tests;
