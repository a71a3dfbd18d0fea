//! Where in a program its open sockets were made.

use std::cmp::Reverse;

use serde::Serialize;

use crate::symbols::{Site, Symbols};

/// Birthplaces a finding shows.
const SHOWN: usize = 3;
/// Stacks that are named for it: without frame pointers one place has several.
pub const NAMED: usize = 8;

/// What the kernel side noted of a socket's making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Birth {
    /// Stack and the word on top of it; without the id the stack could not be kept, for this errno.
    Noted { stack: Result<u32, i32>, caller: u64 },
    /// Nothing: it was one of the first sockets of its process.
    Early,
    /// Nothing: it was there before the agent.
    Older,
}

impl Birth {
    /// What to look up, if there is anything.
    #[must_use]
    pub fn site(self, pid: u32) -> Option<Site> {
        match self {
            Self::Noted { stack: Err(_), caller: 0 } | Self::Early | Self::Older => None,
            Self::Noted { stack, caller } => Some(Site { pid, stack: stack.ok(), caller }),
        }
    }

    /// Why there is no stack, or not the whole of it.
    fn why_not(self) -> Option<String> {
        match self {
            Self::Noted { stack: Ok(_), .. } => None,
            Self::Noted { stack: Err(errno), .. } if -errno == libc::EEXIST => {
                Some("the kernel's map of stacks had another one in its place".into())
            }
            Self::Noted { stack: Err(errno), .. } => {
                Some(format!("the kernel could not keep the stack (errno {})", -errno))
            }
            Self::Early => {
                Some("among the first sockets of the process, which are not noted".into())
            }
            Self::Older => Some("open before the agent started".into()),
        }
    }
}

/// A place in the program and the open sockets that were made there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Birthplace {
    /// Open sockets made here.
    pub open: u64,
    /// Their share of the sockets the finding is about (%).
    pub percent: u64,
    /// Functions, innermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<String>,
    /// Why there are no frames, or not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    #[serde(skip)]
    pub birth: Birth,
}

impl Birthplace {
    /// A place with no names yet. `of` is the number of sockets the finding is about.
    #[must_use]
    pub fn new(birth: Birth, open: u64, of: u64) -> Self {
        let percent = open * 100 / of.max(1);
        Self { open, percent, frames: Vec::new(), unreadable: birth.why_not(), birth }
    }

    /// Takes the names of the frames, if they are known; whether they are.
    pub fn name(&mut self, pid: u32, symbols: &mut Symbols) -> bool {
        let Some(site) = self.birth.site(pid) else { return true };
        match symbols.look(site) {
            Some(trace) => {
                self.frames.clone_from(&trace.frames);
                self.unreadable = self.birth.why_not().or_else(|| trace.unreadable.clone());
                true
            }
            None => {
                self.unreadable = Some("the names of its functions are being looked up".into());
                false
            }
        }
    }
}

/// Makes one of places that have the same frames, and leaves those with most open sockets.
pub fn merge(places: &mut Vec<Birthplace>) {
    let mut merged: Vec<Birthplace> = Vec::new();
    for place in places.drain(..) {
        let same = |other: &&mut Birthplace| {
            !place.frames.is_empty()
                && other.frames == place.frames
                && other.unreadable == place.unreadable
        };
        match merged.iter_mut().find(same) {
            Some(other) => {
                other.open += place.open;
                other.percent += place.percent;
            }
            None => merged.push(place),
        }
    }
    merged.sort_by_key(|place| Reverse(place.open));
    merged.truncate(SHOWN);
    *places = merged;
}
