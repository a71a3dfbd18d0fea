//! Wire records to events: pure, total, and never trusting a byte.

use probe_common::wire;
use thiserror::Error;

use crate::{
    event::{Comm, Context, Event},
    signals,
};

/// Why a record could not be decoded. Each is a metric label.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("record of {have} bytes where kind {kind:#06x} needs {need}")]
    Truncated { kind: u16, have: usize, need: usize },
    #[error("record kind {0:#06x} is not known")]
    UnknownKind(u16),
    #[error("record says it has {says} bytes, the ring gave {have}")]
    LengthMismatch { says: usize, have: usize },
}

impl DecodeError {
    /// Every label [`DecodeError::label`] can return.
    pub const LABELS: [&'static str; 3] = ["truncated", "unknown_kind", "length_mismatch"];

    /// The error as a metric label.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => Self::LABELS[0],
            Self::UnknownKind(_) => Self::LABELS[1],
            Self::LengthMismatch { .. } => Self::LABELS[2],
        }
    }
}

/// Marks the wire structures that any bytes make a valid value of.
///
/// # Safety
/// The type must be `repr(C)` and made of integers and arrays of integers without implicit padding.
pub unsafe trait Plain: Copy {}

// SAFETY: probe-common holds only such structures, and asserts their sizes.
unsafe impl Plain for wire::Header {}
// SAFETY: as above.
unsafe impl Plain for probe_common::tc::TcRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::bpf::TcBpfRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::tc::LinkGoneRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::firewall::FirewallRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::fork::ForkRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::netlink::NetlinkRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::rtnl::RtnlWaitRecord {}
// SAFETY: as above.
unsafe impl Plain for probe_common::rtnl::RtnlShortRecord {}

/// Copies a wire structure from the start of `bytes`, whatever their alignment. A longer record is
/// fine: a newer object may append fields.
///
/// # Errors
/// [`DecodeError::Truncated`] when there are too few bytes.
pub fn read<T: Plain>(kind: u16, bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() < size_of::<T>() {
        return Err(DecodeError::Truncated { kind, have: bytes.len(), need: size_of::<T>() });
    }
    // SAFETY: enough bytes are there, `read_unaligned` asks no alignment, and T is Plain.
    Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The bytes of a wire structure.
#[must_use]
pub fn as_bytes<T: Plain>(record: &T) -> &[u8] {
    let from = std::ptr::from_ref(record).cast::<u8>();
    // SAFETY: a Plain value has no padding, so all its bytes are initialised.
    unsafe { std::slice::from_raw_parts(from, size_of::<T>()) }
}

/// Decodes one record.
///
/// # Errors
/// [`DecodeError`] when the bytes are not a record this agent knows.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let header: wire::Header = read(0, bytes)?;
    let says = usize::from(header.len);
    if says > bytes.len() {
        return Err(DecodeError::LengthMismatch { says, have: bytes.len() });
    }
    let signal = signals::of_kind(header.kind).ok_or(DecodeError::UnknownKind(header.kind))?;
    Ok(Event {
        context: context(&header),
        sum: (header.events != 0).then_some(header.events),
        body: (signal.decode)(&header, bytes)?,
    })
}

fn context(header: &wire::Header) -> Context {
    Context {
        at: header.ts_ns,
        pid: header.tgid,
        tid: header.pid,
        cgroup: (header.cgroup_id != 0).then_some(header.cgroup_id),
        netns: (header.netns != 0).then_some(header.netns),
        comm: Comm(header.comm),
    }
}

#[cfg(test)]
mod tests;
