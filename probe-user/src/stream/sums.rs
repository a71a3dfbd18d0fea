//! Events of an interval, added up by what they are and who did them.

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::told::{self, Who};
use crate::{
    event::{Body, BootNs, Comm, Event},
    findings::clock::Clock,
    signals::rtnl::RtnlWaits,
    sinks::record::Meta,
    text,
};

/// Different sums of an interval; all others of a kind are one.
const MOST: usize = 4_096;
/// Sums handed over in one tick: they are not to fill a sink's queue at once.
pub const A_TICK: usize = 256;
const SECOND: u64 = 1_000_000_000;

/// Who did it and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct By {
    pid: u32,
    comm: Comm,
    cgroup: Option<u64>,
    netns: Option<u32>,
}

/// What events have in common that are one sum; nobody stands for those that had no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: u16,
    by: Option<By>,
}

#[derive(Clone, Copy, Debug)]
struct Numbers {
    count: u64,
    first: BootNs,
    last: BootNs,
}

/// A sum that is complete.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    key: Key,
    numbers: Numbers,
    /// Length of its interval (ns).
    interval: u64,
}

/// All sums: those that grow, and those that wait to be handed over.
pub struct Sums {
    interval: u64,
    began: Option<BootNs>,
    growing: FxHashMap<Key, Numbers>,
    complete: Vec<Sum>,
}

impl Sums {
    /// None yet, of intervals of so many ns.
    pub fn new(interval: u64) -> Self {
        Self { interval, began: None, growing: FxHashMap::default(), complete: Vec::new() }
    }

    /// Sums up in intervals of so many ns from the next on.
    pub fn sum_up_in(&mut self, interval: u64) {
        self.end_interval();
        self.interval = interval;
    }

    /// What is complete is gone before the next interval is.
    fn most(&self) -> usize {
        let ticks = usize::try_from(self.interval / SECOND).unwrap_or(MOST).max(1);
        ticks.saturating_mul(A_TICK).min(MOST)
    }

    /// Adds an event of a record kind.
    pub fn add(&mut self, kind: u16, event: &Event) {
        let context = &event.context;
        let by = By {
            pid: context.pid,
            comm: context.comm,
            cgroup: context.cgroup,
            netns: context.netns,
        };
        let mut key = Key { kind, by: Some(by) };
        if self.growing.len() >= self.most() && !self.growing.contains_key(&key) {
            key.by = None;
        }
        let at = context.at;
        let none = Numbers { count: 0, first: at, last: at };
        let numbers = self.growing.entry(key).or_insert(none);
        numbers.count = numbers.count.saturating_add(count(event));
        numbers.first = numbers.first.min(at);
        numbers.last = numbers.last.max(at);
    }

    /// Takes the time: an interval may be over.
    pub fn tick(&mut self, now: BootNs) {
        let began = *self.began.get_or_insert(now);
        if now.saturating_sub(began) >= self.interval {
            self.end_interval();
            self.began = Some(now);
        }
    }

    /// The interval is over.
    pub fn end_interval(&mut self) {
        let interval = self.interval;
        let sums = self.growing.drain();
        self.complete.extend(sums.map(|(key, numbers)| Sum { key, numbers, interval }));
        // The oldest last: it goes first.
        self.complete.sort_unstable_by_key(|sum| std::cmp::Reverse(sum.numbers.last));
    }

    /// Takes at most so many of those that are complete.
    pub fn take(&mut self, most: usize) -> impl Iterator<Item = Sum> {
        let from = self.complete.len().saturating_sub(most);
        self.complete.drain(from..).rev()
    }
}

/// Events that one stands for.
fn count(event: &Event) -> u64 {
    match &event.body {
        Body::Rtnl(RtnlWaits::Many { waits, .. }) => *waits,
        _ => event.count() as u64,
    }
}

/// A sum as sinks get it.
#[derive(Serialize)]
struct Json<'a> {
    id: &'a str,
    time: Timestamp,
    signal: &'a str,
    kind: &'a str,
    count: u64,
    interval_seconds: u64,
    first: Timestamp,
    last: Timestamp,
    /// These are the events that had no room for a sum of their own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other: bool,
    #[serde(flatten)]
    who: Option<Who>,
}

impl Sum {
    /// Record kind of its events.
    pub fn kind(&self) -> u16 {
        self.key.kind
    }

    /// When the last of them was.
    pub fn last(&self) -> BootNs {
        self.numbers.last
    }

    /// One sentence.
    pub fn summary(&self, signal: &str, kind: &str) -> String {
        let (count, seconds) = (self.numbers.count, self.interval / SECOND);
        let who = match &self.key.by {
            Some(by) => told::who(by.pid, by.comm),
            None => " by others".into(),
        };
        format!("{count} {signal} {kind}{who} in {seconds} s")
    }

    /// All of it, filed by `meta`.
    pub fn json(&self, meta: &Meta, clock: Clock) -> String {
        let known = |id: u32| (id != 0).then_some(id);
        let json = Json {
            id: &meta.id,
            time: meta.at,
            signal: &meta.signal,
            kind: &meta.rule,
            count: self.numbers.count,
            interval_seconds: self.interval / SECOND,
            first: clock.wall(self.numbers.first),
            last: clock.wall(self.numbers.last),
            other: self.key.by.is_none(),
            who: self.key.by.map(|by| Who {
                pid: known(by.pid),
                tid: None,
                comm: by.comm.text(),
                cgroup_id: by.cgroup,
                netns: by.netns,
            }),
        };
        // It has string keys only, which is all that serialization can fail of.
        text::json(&json).unwrap_or_else(|_| "{}".into())
    }
}
