//! The thread that looks stacks up. It alone reads the kernel side's map of stacks and takes out what
//! nobody needs any more, so that a stack that was looked up is the one that was asked for.

use std::{
    collections::VecDeque,
    fs,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use aya::maps::{MapData, StackTraceMap};
use prometheus::IntCounterVec;
use rustc_hash::FxHashSet;

use crate::scarce;

use super::{Known, Outcome, Site, Trace, lock, stack};
use crate::supervise::{End, Part, Turns, heartbeat::Heartbeat};

/// How often stacks of processes that are gone are forgotten. A finding about a process that ended
/// resolves before that, or has said its stacks.
const SWEEP: Duration = Duration::from_secs(60);

/// How soon what there was no fd for is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Stacks that may wait for that.
const MOST_REFUSED: usize = 64;

/// The thread. A file of another process may keep it waiting, which a restart would not change; only
/// names are missing meanwhile.
pub const PART: Part = Part {
    name: "symbols",
    end: End::Never,
    help: "findings would name no functions without it: start nodeprobe again",
    turns: Some(Turns { within: Duration::from_secs(60), vital: false }),
};

/// Looks up what is asked for until nobody asks any more.
pub fn work(
    mut stacks: StackTraceMap<MapData>,
    queue: &Receiver<Site>,
    known: &Mutex<Known>,
    outcomes: &IntCounterVec,
    beat: &Heartbeat,
) {
    let count = |outcome: Outcome| outcomes.with_label_values(&[outcome.label()]).inc();
    let mut swept = Instant::now();
    let mut refused = Refused::default();
    loop {
        beat.rest();
        let asked = queue.recv_timeout(refused.patience());
        beat.turn();
        match asked {
            Ok(site) => refused.extend(look(&stacks, site, known, count)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        refused.try_again(|site| {
            let wanted = lock(known).sites.contains(&site);
            wanted.then(|| look(&stacks, site, known, count))?
        });
        if swept.elapsed() >= SWEEP {
            forget_dead(known);
            swept = Instant::now();
        }
        for id in unused(&mut lock(known)) {
            // One that is not there is what we want.
            let _ = stacks.remove(&id);
        }
    }
}

/// Stacks that there was no fd for.
struct Refused {
    sites: VecDeque<Site>,
    tried: Instant,
}

impl Default for Refused {
    fn default() -> Self {
        Self { sites: VecDeque::new(), tried: Instant::now() }
    }
}

impl Refused {
    fn extend(&mut self, site: Option<Site>) {
        self.sites.extend(site.filter(|_| self.sites.len() < MOST_REFUSED));
    }

    /// How long to wait for other work.
    fn patience(&self) -> Duration {
        if self.sites.is_empty() { SWEEP } else { AGAIN }
    }

    /// Looks up what waits, until `look` returns one that is refused again.
    fn try_again(&mut self, look: impl Fn(Site) -> Option<Site>) {
        if self.tried.elapsed() < AGAIN {
            return;
        }
        self.tried = Instant::now();
        while let Some(site) = self.sites.pop_front() {
            if let Some(site) = look(site) {
                self.sites.push_front(site);
                return;
            }
        }
    }
}

/// Looks a stack up; returns it when there was no fd to look with.
fn look(
    stacks: &StackTraceMap<MapData>,
    site: Site,
    known: &Mutex<Known>,
    count: impl Fn(Outcome),
) -> Option<Site> {
    let (mut trace, refused) = scarce::watch(|| trace(stacks, site, count));
    if let Some(error) = &refused {
        trace = Trace::unreadable(&format!("{error}; it is tried again"));
    }
    lock(known).sites.put(site, Some(Arc::new(trace)));
    refused.map(|_| site)
}

fn trace(stacks: &StackTraceMap<MapData>, site: Site, count: impl Fn(Outcome)) -> Trace {
    let addresses: Vec<u64> = match site.stack.map(|id| stacks.get(&id, 0)) {
        Some(Ok(stack)) => stack.frames().iter().map(|frame| frame.ip).collect(),
        Some(Err(_)) => {
            count(Outcome::Unreadable);
            return Trace::unreadable("the stack was given up for want of room");
        }
        None => Vec::new(),
    };
    stack::trace(site.pid, &addresses, site.caller, count)
}

/// Forgets the stacks of processes that are gone.
pub fn forget_dead(known: &Mutex<Known>) {
    let pids: FxHashSet<u32> = lock(known).sites.iter().map(|(site, _)| site.pid).collect();
    let is_gone = |pid: &u32| !fs::exists(format!("/proc/{pid}")).unwrap_or(true);
    let gone: FxHashSet<u32> = pids.into_iter().filter(is_gone).collect();
    let mut known = lock(known);
    let sites: Vec<Site> = known.sites.iter().map(|(site, _)| *site).collect();
    for site in sites.into_iter().filter(|site| gone.contains(&site.pid)) {
        known.sites.pop(&site);
        known.forgotten.extend(site.stack);
    }
}

/// Stacks that were forgotten and that no other process shares.
pub fn unused(known: &mut Known) -> Vec<u32> {
    if known.forgotten.is_empty() {
        return Vec::new();
    }
    let used: FxHashSet<u32> = known.sites.iter().filter_map(|(site, _)| site.stack).collect();
    known.forgotten.drain(..).filter(|id| !used.contains(id)).collect()
}
