//! From a stack that the kernel side kept to names a reader knows: the functions of C, Rust and Go
//! programs, read from the very files the process runs, in containers too.
//!
//! All of it happens on a thread of its own: files may be large, slow or stuck. The pipeline asks as
//! soon as it sees a new stack, while the process lives, and has the names when a finding fires.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
};

use aya::maps::{MapData, StackTraceMap};
use lru::LruCache;
use prometheus::IntCounterVec;

use crate::supervise::Supervisor;

pub(crate) mod bytes;
pub(crate) mod elf;
pub(crate) mod go;
pub(crate) mod maps;
pub(crate) mod stack;
mod varint;
mod worker;

/// Stacks known at once, half of what the kernel side keeps; the least recently used goes first.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);
/// Stacks that may wait for the thread.
const QUEUE: usize = 64;

/// A stack of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Id in the kernel side's map; `None` when it found no room there.
    pub stack: Option<u32>,
    /// The word on top of the stack; 0 when unknown.
    pub caller: u64,
}

/// What is known of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Functions, innermost first, without the wrappers of the system call.
    pub frames: Vec<String>,
    /// Why there are none, or not all.
    pub unreadable: Option<String>,
}

impl Trace {
    fn unreadable(why: &str) -> Self {
        Self { frames: Vec::new(), unreadable: Some(why.into()) }
    }
}

/// What became of a frame, or of a whole stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function has a name.
    Named,
    /// Its file has no name for it.
    Unnamed,
    /// Its file, or the process, could not be read.
    Unreadable,
    /// The stack found no room in the queue.
    NoRoom,
}

impl Outcome {
    /// Every label.
    pub const LABELS: [&'static str; 4] = ["named", "unnamed", "unreadable", "no_room"];

    fn label(self) -> &'static str {
        match self {
            Self::Named => Self::LABELS[0],
            Self::Unnamed => Self::LABELS[1],
            Self::Unreadable => Self::LABELS[2],
            Self::NoRoom => Self::LABELS[3],
        }
    }
}

/// The near end of the thread that looks stacks up.
pub struct Symbols {
    jobs: SyncSender<Site>,
    known: Arc<Mutex<Known>>,
    outcomes: IntCounterVec,
}

/// Stacks and what is known of them; `None` while they are looked up.
struct Known {
    sites: LruCache<Site, Option<Arc<Trace>>>,
    /// Ids of stacks that were forgotten, for the thread to take out of the kernel's map.
    forgotten: Vec<u32>,
}

impl Symbols {
    /// Starts the thread. `outcomes` counts what becomes of frames, by outcome.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(
        stacks: StackTraceMap<MapData>,
        outcomes: IntCounterVec,
        supervisor: &mut Supervisor,
    ) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let known = Known { sites: LruCache::new(MOST), forgotten: Vec::new() };
        let symbols = Self { jobs, known: Arc::new(Mutex::new(known)), outcomes };
        let (known, outcomes) = (Arc::clone(&symbols.known), symbols.outcomes.clone());
        supervisor.thread(worker::PART, 256 * 1024, move |beat| {
            worker::work(stacks, &queue, &known, &outcomes, beat);
            Ok(())
        })?;
        Ok(symbols)
    }

    /// What is known of a stack; `None` while it is being looked up, which this begins.
    pub fn look(&mut self, site: Site) -> Option<Arc<Trace>> {
        let mut known = lock(&self.known);
        if let Some(trace) = known.sites.get(&site) {
            return trace.clone();
        }
        match self.jobs.try_send(site) {
            Ok(()) => {
                if let Some((Site { stack: Some(id), .. }, _)) = known.sites.push(site, None) {
                    known.forgotten.push(id);
                }
                None
            }
            // Not remembered: whoever looks next asks again.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.outcomes.with_label_values(&[Outcome::NoRoom.label()]).inc();
                let why = "too many stacks were to be looked up at once";
                Some(Arc::new(Trace::unreadable(why)))
            }
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
