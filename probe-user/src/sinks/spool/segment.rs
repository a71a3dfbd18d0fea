//! A segment: one file of the spool. Its frames (`frame.rs`) are a head and then records, each its
//! [`Meta`] and its JSON, a line each: a later nodeprobe with more to tell can read them still.
//!
//! Reading is total: any bytes give records and damage. Behind damage it goes on at the next frame that
//! is whole. No text can look like one, as JSON has no byte of zero and every length has.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    frame,
    sinks::record::{Meta, Record},
};

/// From this size on (bytes) a segment takes no further record.
pub const ENOUGH: usize = 512 * 1024;
/// Most that is written at once (bytes), but for the last record of it.
pub const AT_ONCE: usize = 128 * 1024;
/// Most that a segment can have (bytes): it had not quite enough, and a longest record came last.
pub const MOST: usize = ENOUGH + AT_ONCE + frame::HEAD + frame::LONGEST;

/// What the head says before the time.
const MAGIC: &[u8] = b"nodeprobe spool 1\n";

/// Most bytes that are looked through for the next whole frame, counted again for each try: damage
/// that looks like one length after another ends the segment.
const LOOKS: usize = 16 * MOST;

/// The head of a segment that is made now.
#[must_use]
pub fn head(now: SystemTime) -> Vec<u8> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().to_le_bytes();
    let mut head = Vec::new();
    frame::append(&mut head, |to| to.extend([MAGIC, &seconds].concat()));
    head
}

/// Appends a record; `false` when it is longer than any frame.
pub fn append(to: &mut Vec<u8>, record: &Record) -> bool {
    let Ok(meta) = serde_json::to_string(&record.meta) else { return false };
    frame::append(to, |to| {
        for part in [meta.as_str(), "\n", record.json()] {
            to.extend_from_slice(part.as_bytes());
        }
    })
}

/// A record and where it is.
#[derive(Debug)]
pub struct Found {
    pub record: Arc<Record>,
    /// Where its frame ends (byte of the file).
    pub end: u64,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub at: u64,
    pub bytes: u64,
    pub how: How,
}

/// What sort of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The file ends in a record, as one does whose writer was killed or lost its power.
    CutShort,
    /// They were something else once.
    Corrupt,
}

impl How {
    /// All of them, for metric registration.
    pub const ALL: [Self; 2] = [Self::CutShort, Self::Corrupt];

    /// As a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::CutShort => "cut_short",
            Self::Corrupt => "corrupt",
        }
    }
}

/// What a segment holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// When it was made, where its head is whole.
    pub made: Option<SystemTime>,
    /// Whether a nodeprobe of another format wrote it.
    pub foreign: bool,
    pub records: Vec<Found>,
    pub damage: Vec<Damage>,
}

/// Reads the records that begin at the byte `from` or behind it.
#[must_use]
pub fn read(bytes: &[u8], from: usize) -> Contents {
    let mut contents = Contents::default();
    let mut at = 0;
    if let Some(head) = frame::content(bytes) {
        let Some(seconds) = head.strip_prefix(MAGIC).and_then(|seconds| seconds.first_chunk())
        else {
            contents.foreign = true;
            return contents;
        };
        contents.made = UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_le_bytes(*seconds)));
        at = frame::HEAD + head.len();
    }
    at = at.max(from);
    let mut looks = LOOKS;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (bytes, how) = match frame::content(rest) {
            Some(content) => {
                let taken = frame::HEAD + content.len();
                if let Some(record) = record(content) {
                    at += taken;
                    contents.records.push(Found { record, end: at as u64 });
                    continue;
                }
                (taken, How::Corrupt)
            }
            None => match next_whole(rest, &mut looks) {
                Some(next) => (next, How::Corrupt),
                None if is_cut_short(rest) => (rest.len(), How::CutShort),
                None => (rest.len(), How::Corrupt),
            },
        };
        contents.damage.push(Damage { at: at as u64, bytes: bytes as u64, how });
        at += bytes;
    }
    contents
}

fn record(content: &[u8]) -> Option<Arc<Record>> {
    let (meta, json) = str::from_utf8(content).ok()?.split_once('\n')?;
    let meta: Meta = serde_json::from_str(meta).ok()?;
    Some(Arc::new(Record::of_json(meta, json.into())))
}

/// Where the next whole frame begins, behind one that is not.
fn next_whole(bytes: &[u8], looks: &mut usize) -> Option<usize> {
    for at in 1..bytes.len() {
        let rest = bytes.get(at..)?;
        let Some(length) = frame::length(rest) else { continue };
        if rest.len() < frame::HEAD + length {
            continue;
        }
        *looks = looks.checked_sub(length)?;
        if frame::content(rest).is_some() {
            return Some(at);
        }
    }
    None
}

/// Whether the bytes are the beginning of a frame; or zeros, where the length of the file was written
/// and its contents no more.
fn is_cut_short(rest: &[u8]) -> bool {
    let begun = frame::length(rest).is_some_and(|length| rest.len() < frame::HEAD + length);
    begun || rest.len() < frame::HEAD || rest.iter().all(|byte| *byte == 0)
}

/// How far the other side has everything: up to a byte of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub segment: u64,
    pub end: u64,
}

impl Place {
    /// As it is in the cursor file.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let numbers = [self.segment.to_le_bytes(), self.end.to_le_bytes()];
        frame::append(&mut bytes, |to| to.extend_from_slice(numbers.as_flattened()));
        bytes
    }

    /// Of the bytes of the cursor file; `None` when they are not whole.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (segment, end) = frame::content(bytes)?.split_first_chunk()?;
        let end = end.first_chunk()?;
        Some(Self { segment: u64::from_le_bytes(*segment), end: u64::from_le_bytes(*end) })
    }
}

#[cfg(test)]
mod tests;
