//! Which loops turn, and which are stuck.

use std::{fmt, time::Duration};

use super::{Turns, heartbeat::Heartbeat};
use crate::event::BootNs;

/// The most that one look adds to a loop's age (ns): looks come each second, and in a longer pause the
/// whole agent was stopped or starved, of which no loop is to blame.
const MOST_A_LOOK: u64 = 2_000_000_000;

/// Looks at heartbeats.
#[derive(Default)]
pub struct Watch {
    loops: Vec<Watched>,
    /// When it last looked.
    looked: Option<BootNs>,
}

struct Watched {
    name: &'static str,
    turns: Turns,
    beat: Heartbeat,
    seen: u64,
    /// Watched time without a turn (ns).
    age: u64,
    stuck: bool,
}

/// A loop at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub name: &'static str,
    /// Watched time since its last turn; zero while it waits for work.
    pub age: Duration,
    pub stuck: bool,
    pub vital: bool,
}

/// A loop got stuck, or turns again.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    Stuck { name: &'static str, age: Duration, vital: bool },
    TurnsAgain { name: &'static str, age: Duration },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { name, age, vital } => {
                let seconds = age.as_secs();
                let then = if *vital {
                    "/livez answers 503 and the watchdog gets no more pings until it does"
                } else {
                    "the rest goes on"
                };
                write!(f, "stuck: {name} has not turned for {seconds} s; {then}")
            }
            Self::TurnsAgain { name, age } => {
                write!(f, "{name} turns again, after {} s", age.as_secs())
            }
        }
    }
}

impl Watch {
    /// Watches a loop.
    pub fn add(&mut self, name: &'static str, turns: Turns, beat: Heartbeat) {
        let seen = beat.read();
        self.loops.push(Watched { name, turns, beat, seen, age: 0, stuck: false });
    }

    /// Watches a loop no more.
    pub fn remove(&mut self, beat: &Heartbeat) {
        self.loops.retain(|each| !each.beat.is(beat));
    }

    /// Looks at all, and tells what changed.
    pub fn tick(&mut self, now: BootNs) -> Vec<Change> {
        let since = self.looked.replace(now).map_or(0, |last| now.saturating_sub(last));
        let watched = since.min(MOST_A_LOOK);
        self.loops.iter_mut().filter_map(|each| each.look(watched)).collect()
    }

    /// All as they were at the last look.
    pub fn states(&self) -> impl Iterator<Item = State> {
        self.loops.iter().map(|each| State {
            name: each.name,
            age: Duration::from_nanos(each.age),
            stuck: each.stuck,
            vital: each.turns.vital,
        })
    }
}

impl Watched {
    fn look(&mut self, watched: u64) -> Option<Change> {
        let (name, vital) = (self.name, self.turns.vital);
        let value = self.beat.read();
        if value != self.seen || Heartbeat::rests(value) {
            let age = Duration::from_nanos(std::mem::take(&mut self.age));
            self.seen = value;
            return std::mem::take(&mut self.stuck).then_some(Change::TurnsAgain { name, age });
        }
        self.age = self.age.saturating_add(watched);
        let age = Duration::from_nanos(self.age);
        if self.stuck || age < self.turns.within {
            return None;
        }
        self.stuck = true;
        Some(Change::Stuck { name, age, vital })
    }
}

#[cfg(test)]
mod tests;
