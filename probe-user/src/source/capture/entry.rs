//! What a capture holds, entry by entry: a byte that says what it is, then that. Facts and the like
//! are in postcard's encoding (postcard.jamesmunns.com), the preamble in JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Preamble;
use crate::{
    event::{Body, BootNs, Context, Event, Fact},
    findings::clock::Clock,
};

/// A moment that the pipeline was told, and what both clocks said then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// What the pipeline was told (ns since boot).
    pub at: BootNs,
    /// Ns since boot.
    pub boot: BootNs,
    /// Microseconds since 1970.
    pub wall: i64,
}

impl Moment {
    /// The clocks of now.
    #[must_use]
    pub fn now(at: BootNs) -> Self {
        let (boot, wall) = Clock::now().both();
        Self { at, boot, wall }
    }

    /// The clocks as they were.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock::at(self.boot, self.wall)
    }
}

/// Why a capture is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The agent ended.
    Agent,
    /// The file has the size it may have; the agent went on.
    Limit,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The first, and nowhere else.
    Preamble(Cow<'a, Preamble>),
    /// A record of the kernel side.
    Record(&'a [u8]),
    /// A record of what was there before the hooks.
    Seed(&'a [u8]),
    /// What a poller saw.
    Fact(Cow<'a, Event>),
    /// The time was told.
    Tick(Moment),
    /// The path of a cgroup that a finding is about.
    Cgroup { id: u64, path: Cow<'a, str> },
    /// So many entries belong here that found no room on their way to the file.
    Lost(u64),
    /// The last.
    End(End),
}

mod kind {
    pub const PREAMBLE: u8 = 0;
    pub const RECORD: u8 = 1;
    pub const SEED: u8 = 2;
    pub const FACT: u8 = 3;
    pub const TICK: u8 = 4;
    pub const CGROUP: u8 = 5;
    pub const LOST: u8 = 6;
    pub const END: u8 = 7;
}

impl<'a> Entry<'a> {
    /// Appends it; nothing when it cannot be encoded.
    pub fn append(&self, to: &mut Vec<u8>) {
        match self {
            Self::Preamble(preamble) => {
                let text = serde_json::to_vec(preamble.as_ref()).unwrap_or_default();
                raw(to, kind::PREAMBLE, &text);
            }
            Self::Record(bytes) => raw(to, kind::RECORD, bytes),
            Self::Seed(bytes) => raw(to, kind::SEED, bytes),
            Self::Fact(event) => {
                if let Body::Polled(fact) = &event.body {
                    encoded(to, kind::FACT, &(&event.context, fact));
                }
            }
            Self::Tick(moment) => encoded(to, kind::TICK, moment),
            Self::Cgroup { id, path } => encoded(to, kind::CGROUP, &(id, path)),
            Self::Lost(entries) => encoded(to, kind::LOST, entries),
            Self::End(end) => encoded(to, kind::END, end),
        }
    }

    /// The entry in the content of a frame; `None` when it is none.
    #[must_use]
    pub fn read(content: &'a [u8]) -> Option<Self> {
        let (kind, rest) = content.split_first()?;
        Some(match *kind {
            kind::PREAMBLE => Self::Preamble(Cow::Owned(serde_json::from_slice(rest).ok()?)),
            kind::RECORD => Self::Record(rest),
            kind::SEED => Self::Seed(rest),
            kind::FACT => {
                let (context, fact): (Context, Fact) = decoded(rest)?;
                Self::Fact(Cow::Owned(Event::polled(context, fact)))
            }
            kind::TICK => Self::Tick(decoded(rest)?),
            kind::CGROUP => {
                let (id, path): (u64, String) = decoded(rest)?;
                Self::Cgroup { id, path: path.into() }
            }
            kind::LOST => Self::Lost(decoded(rest)?),
            kind::END => Self::End(decoded(rest)?),
            _ => return None,
        })
    }
}

fn raw(to: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    to.push(kind);
    to.extend_from_slice(bytes);
}

fn encoded(to: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    // Only a type that refuses to be serialized could fail.
    if let Ok(bytes) = postcard::to_allocvec(value) {
        raw(to, kind, &bytes);
    }
}

/// All of `bytes`, and not one more.
fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}
