//! Captures: all that goes into the pipeline, written to a file, from which the same pipeline can be
//! run again. What the kernel told, what was there before, what was polled, and the time.
//!
//! A file is [`MAGIC`], a version and frames ([`crate::frame`]): a length, a checksum, and an [`Entry`]. The
//! first is the [`Preamble`]. Numbers are little-endian. An agent that is killed leaves a file that
//! ends in the middle of a frame, which is fine; a frame that is damaged ends the replay.
//!
//! Not in it: what enrichment reads of the node when a finding fires (programs, pods, who shares a
//! limit), and names of functions. A replay leaves those out. The paths of the cgroups that findings
//! are about are in it.

use std::borrow::Cow;

use probe_common::layout;
use serde::{Deserialize, Serialize};

use crate::frame;

mod entry;
mod recorder;
mod recording;

pub use entry::{End, Entry, Moment};
pub use recorder::{Captured, Recorder, WriteError};
pub use recording::{CaptureError, Recording};

/// What a capture begins with: no text, and broken by whatever changes line ends.
const MAGIC: [u8; 8] = *b"\x8eNPCAP\r\n";

/// Version of all that follows. It changes with the meaning of any entry, [`crate::event::Fact`]
/// included; records of the kernel side are told by [`records`].
const VERSION: u32 = 1;

/// What a capture says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preamble {
    /// Version and revision of the agent that wrote it.
    pub nodeprobe: String,
    /// Which layout the records have, as [`records`] tells it.
    pub records: u32,
    /// `uname -r`.
    pub kernel: String,
    /// Which boot the times count from, `/proc/sys/kernel/random/boot_id` (random(4)).
    pub boot: String,
    /// The clocks when it began.
    pub began: Moment,
    /// What the hooks of the agent saw.
    pub hooks: Vec<HookRung>,
}

/// A hook, and the rung it used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRung {
    pub signal: String,
    pub hook: String,
    /// As `nodeprobe_signal_coverage` has it: `none` saw nothing.
    pub rung: String,
}

impl Preamble {
    /// Of a capture that begins now, on this node.
    #[must_use]
    pub fn of_this_node(hooks: Vec<HookRung>) -> Self {
        let line = |path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        Self {
            nodeprobe: crate::VERSION.into(),
            records: records(),
            kernel: line("/proc/sys/kernel/osrelease"),
            boot: line("/proc/sys/kernel/random/boot_id"),
            began: Moment::now(crate::findings::clock::boot_now()),
            hooks,
        }
    }

    /// Hooks that saw nothing.
    pub fn blind(&self) -> impl Iterator<Item = &HookRung> {
        self.hooks.iter().filter(|hook| hook.rung == "none")
    }
}

/// What a capture begins with.
pub(crate) fn head(preamble: &Preamble) -> Vec<u8> {
    let mut head = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    frame::append(&mut head, |to| Entry::Preamble(Cow::Borrowed(preamble)).append(to));
    head
}

/// A whole capture of these entries: one that is made and was never recorded, for tests of what a
/// replay does.
#[must_use]
pub fn made<'a>(preamble: &Preamble, entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut file = head(preamble);
    for entry in entries.into_iter().chain([Entry::End(End::Agent)]) {
        frame::append(&mut file, |to| entry.append(to));
    }
    file
}

/// A checksum over names, sizes and offsets of every record of this agent: another agent's records
/// must be the same to be read.
pub(crate) fn records() -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut number = |number: usize| hasher.update(&(number as u64).to_le_bytes());
    for record in layout::RECORDS {
        number(record.size);
        record.members.iter().for_each(|(_, offset)| number(*offset));
    }
    for record in layout::RECORDS {
        hasher.update(record.name.as_bytes());
        record.members.iter().for_each(|(name, _)| hasher.update(name.as_bytes()));
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests;
