//! Processes as they were at the time of an event. A pid alone names nobody: it is used again. So a
//! process is a pid and a start, and one that started after the event is another one.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use lru::LruCache;

use super::{
    misses::{Lookup, Misses},
    subject::{Parent, Process},
};
use crate::{
    event::{BootNs, Comm, Context},
    findings::clock::Clock,
    scarce,
};

pub(crate) mod cmdline;
pub mod proc;

use proc::{Absent, Proc};

/// Processes remembered, the dead among them.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);

/// How long it is taken for granted that a pid is the process it was (ns). The kernel goes through
/// all other pids before it uses one again.
const TRUSTED: BootNs = 10_000_000_000;

/// First looks at processes in a second; in a storm of short-lived ones most would be too late.
const LOOKS_A_SECOND: u32 = 128;
const SECOND: BootNs = 1_000_000_000;

/// What was read of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    started: BootNs,
    zombie: bool,
    comm: String,
    exe: Option<String>,
    cmdline: Option<String>,
    parent: Option<Parent>,
    grandparent: Option<Parent>,
}

/// What a look at a pid found, and when that was.
struct Sight {
    at: BootNs,
    facts: Option<Facts>,
}

/// Looks processes up and remembers them.
pub struct Processes {
    proc: Proc,
    cmdlines: bool,
    seen: LruCache<u32, Sight>,
    /// Looks since the beginning of this second.
    looks: (BootNs, u32),
}

impl Processes {
    /// Reads `proc`; command lines only when asked to.
    #[must_use]
    pub fn new(proc: Proc, cmdlines: bool) -> Self {
        Self { proc, cmdlines, seen: LruCache::new(REMEMBERED), looks: (0, 0) }
    }

    /// Where they are read.
    #[must_use]
    pub fn proc(&self) -> &Proc {
        &self.proc
    }

    /// Learns what it can of the process of an event at `at`, as it may end before it is asked for.
    /// Looks again when the last look is too old to vouch for the pid.
    pub fn remember(&mut self, pid: u32, at: BootNs, now: BootNs, misses: &mut Misses) {
        let known = |sight: &Sight| at <= sight.at.saturating_add(TRUSTED / 2);
        if pid == 0 || self.seen.get(&pid).is_some_and(known) || !self.may_look(now) {
            return;
        }
        let (facts, refused) = scarce::watch(|| self.look(pid).ok());
        let facts = facts.filter(|facts| facts.started <= at);
        if facts.is_none() {
            misses.count(Lookup::Process);
            // The process may have been seen in better days, or be seen when fds are to be had.
            if refused.is_some() || self.seen.peek(&pid).is_some_and(|sight| sight.vouches(at)) {
                return;
            }
        }
        self.seen.put(pid, Sight { at: now, facts });
    }

    /// The process of an event, whose record may name who started it.
    pub fn describe(
        &mut self,
        context: &Context,
        parent: Option<(u32, Comm)>,
        clock: Clock,
        misses: &mut Misses,
    ) -> Option<Process> {
        let Context { at, pid, comm, .. } = *context;
        if pid == 0 {
            return None;
        }
        let (facts, exited) = self.at(pid, at);
        if facts.is_none() {
            misses.count(Lookup::Process);
        }
        let recorded = parent.map(|(pid, comm)| Parent { pid, comm: comm.text() });
        let (parent, grandparent) = match (recorded, &facts) {
            (Some(recorded), _) => {
                let grandparent = self.at(recorded.pid, at).0.and_then(|facts| facts.parent);
                (Some(recorded), grandparent)
            }
            (None, Some(facts)) => (facts.parent.clone(), facts.grandparent.clone()),
            (None, None) => (None, None),
        };
        let facts = facts.as_ref();
        Some(Process {
            pid,
            comm: comm.text().or_else(|| Some(facts?.comm.clone())),
            exe: facts.and_then(|facts| facts.exe.clone()),
            cmdline: facts.and_then(|facts| facts.cmdline.clone()),
            started: facts.map(|facts| hundredth(clock.wall(facts.started))),
            exited,
            parent,
            grandparent,
        })
    }

    /// What is known of the process that a pid was at a time, and whether it has ended since.
    fn at(&mut self, pid: u32, at: BootNs) -> (Option<Facts>, bool) {
        match self.look(pid) {
            Ok(facts) if facts.started <= at => {
                let exited = facts.zombie;
                (Some(facts), exited)
            }
            // Gone, or its pid is another one's by now.
            absent => {
                let sight = self.seen.get(&pid).filter(|sight| sight.vouches(at));
                let facts = sight.and_then(|sight| sight.facts.clone());
                (facts, absent != Err(Absent::Unreadable))
            }
        }
    }

    /// Reads a process, parent and grandparent.
    fn look(&self, pid: u32) -> Result<Facts, Absent> {
        let stat = self.proc.stat(pid)?;
        let exe = self.proc.exe(pid);
        let cmdline = self.cmdlines.then(|| self.proc.cmdline(pid)).flatten();
        // It may have ended meanwhile and left its pid to another one.
        if self.proc.stat(pid)?.started != stat.started {
            return Err(Absent::Gone);
        }
        // A parent is older than its child.
        let above = |pid: Option<u32>, started| {
            let stat = self.proc.stat(pid?).ok().filter(|stat| stat.started <= started)?;
            let parent = Parent { pid: pid?, comm: Some(stat.comm.clone()) };
            Some((parent, stat))
        };
        let parent = above(stat.parent, stat.started);
        let grandparent =
            parent.as_ref().and_then(|(_, parent)| above(parent.parent, parent.started));
        Ok(Facts {
            started: stat.started,
            zombie: stat.zombie,
            comm: stat.comm,
            exe,
            cmdline,
            parent: parent.map(|(parent, _)| parent),
            grandparent: grandparent.map(|(parent, _)| parent),
        })
    }

    fn may_look(&mut self, now: BootNs) -> bool {
        let (begun, looks) = &mut self.looks;
        if now.saturating_sub(*begun) >= SECOND {
            (*begun, *looks) = (now, 0);
        }
        *looks += 1;
        *looks <= LOOKS_A_SECOND
    }
}

impl Sight {
    /// Whether what was seen is the process that the pid was at a time.
    fn vouches(&self, at: BootNs) -> bool {
        let started = |facts: &Facts| facts.started <= at;
        self.facts.as_ref().is_some_and(started) && at <= self.at.saturating_add(TRUSTED)
    }
}

/// A time as exactly as /proc tells it, so that two findings about one process agree.
fn hundredth(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond() / 10 * 10).unwrap_or(time)
}

#[cfg(test)]
mod tests;
