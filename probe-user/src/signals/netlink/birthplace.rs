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
    /// Nothing: the record of its opening was lost, and /proc showed it later.
    Unseen,
}

impl Birth {
    /// What to look up, if there is anything.
    #[must_use]
    pub fn site(self, pid: u32) -> Option<Site> {
        match self {
            Self::Noted { stack: Err(_), caller: 0 } | Self::Early | Self::Older | Self::Unseen => {
                None
            }
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
            Self::Unseen => Some("the record of the opening was lost".into()),
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
    /// Open sockets whose making has the same word on top of the stack, these and others.
    #[serde(skip)]
    of_caller: u64,
    /// The sockets the finding is about.
    #[serde(skip)]
    of: u64,
}

impl Birthplace {
    /// A place with no names yet. `of_caller` is the number of sockets with the same caller, `of` that
    /// of the sockets the finding is about.
    #[must_use]
    pub fn new(birth: Birth, open: u64, of_caller: u64, of: u64) -> Self {
        let (percent, unreadable) = (percent(open, of), birth.why_not());
        Self { open, percent, frames: Vec::new(), unreadable, birth, of_caller, of }
    }

    /// Whether the caller is all that is known: the walk found nothing, or something else each time.
    fn is_caller_alone(&self) -> bool {
        self.frames.len() == 1 && self.unreadable.is_some()
    }

    fn set_open(&mut self, open: u64) {
        (self.open, self.percent) = (open, percent(open, self.of));
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

fn percent(open: u64, of: u64) -> u64 {
    open * 100 / of.max(1)
}

/// Makes one of places that have the same frames, and leaves those with most open sockets.
pub fn merge(places: &mut Vec<Birthplace>) {
    let mut merged: Vec<Birthplace> = Vec::new();
    for mut place in places.drain(..) {
        let same = |other: &&mut Birthplace| {
            !place.frames.is_empty()
                && other.frames == place.frames
                && other.unreadable == place.unreadable
        };
        match merged.iter_mut().find(same) {
            Some(other) if other.is_caller_alone() => {}
            Some(other) => other.set_open(other.open + place.open),
            None => {
                if place.is_caller_alone() {
                    // A walk without frame pointers makes a stack of its own of each call.
                    place.set_open(place.of_caller);
                }
                merged.push(place);
            }
        }
    }
    merged.sort_by_key(|place| Reverse(place.open));
    merged.truncate(SHOWN);
    *places = merged;
}
