//! Waits of a sliding window, in slices, with who waited and for whom.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{Party, RtnlWaits, party::Agent};
use crate::event::BootNs;

/// Slices of a window: what leaves it leaves by a twelfth.
const SLICES: u64 = 12;
/// Holders, and waiters, told apart in a slice.
pub const MOST_AGENTS: usize = 128;

/// A number of waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub waits: u64,
    /// Their sum (ns).
    pub waited_ns: u64,
    /// The longest one that was told by itself (ns).
    pub longest_ns: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.waits = self.waits.saturating_add(other.waits);
        self.waited_ns = self.waited_ns.saturating_add(other.waited_ns);
        self.longest_ns = self.longest_ns.max(other.longest_ns);
    }
}

/// The part of an agent, with its latest task.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub tally: Tally,
    pub latest: Party,
}

/// Parts by agent.
type Parts = FxHashMap<Agent, Part>;

struct Slice {
    from: BootNs,
    all: Tally,
    /// Those of `all` that were told in sum.
    in_sum: Tally,
    holders: Parts,
    waiters: Parts,
}

/// The waits of the latest window.
pub struct Waits {
    window: u64,
    slices: VecDeque<Slice>,
    evicted: u64,
}

/// What the waits of a window come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub all: Tally,
    /// Those of `all` that were told in sum, without waiter and holder.
    pub in_sum: Tally,
}

impl Waits {
    /// No waits, in a window of so many ns.
    #[must_use]
    pub fn new(window: u64) -> Self {
        Self { window, slices: VecDeque::new(), evicted: 0 }
    }

    /// The same waits, as far as they are in a window of so many ns.
    pub fn resize(&mut self, window: u64) {
        self.window = window;
    }

    /// Adds waits that ended at a time.
    pub fn add(&mut self, at: BootNs, waits: &RtnlWaits) {
        let width = (self.window / SLICES).max(1);
        let from = at - at % width;
        // Two CPUs share the ring: a record may come a little late, and counts in the newest slice.
        if self.slices.back().is_none_or(|slice| slice.from < from) {
            self.slices.push_back(Slice::new(from));
            self.forget(at);
        }
        let Some(slice) = self.slices.back_mut() else { return };
        match waits {
            RtnlWaits::Many { waits, waited_ns } => {
                let tally = Tally { waits: *waits, waited_ns: *waited_ns, longest_ns: 0 };
                slice.all.add(tally);
                slice.in_sum.add(tally);
            }
            RtnlWaits::One(wait) => {
                let ns = wait.waited_ns;
                let tally = Tally { waits: 1, waited_ns: ns, longest_ns: ns };
                slice.all.add(tally);
                self.evicted += u64::from(!charge(&mut slice.waiters, wait.waiter, tally));
                if let Some(holder) = wait.holder {
                    self.evicted += u64::from(!charge(&mut slice.holders, holder, tally));
                }
            }
        }
    }

    /// Drops what no longer is in the window.
    pub fn forget(&mut self, now: BootNs) {
        let from = now.saturating_sub(self.window);
        self.slices.retain(|slice| slice.from >= from);
    }

    /// The sum of all.
    #[must_use]
    pub fn totals(&self, now: BootNs) -> Totals {
        let mut totals = Totals::default();
        for slice in self.of_window(now) {
            totals.all.add(slice.all);
            totals.in_sum.add(slice.in_sum);
        }
        totals
    }

    /// Those that others waited for, who kept them waiting longest first.
    #[must_use]
    pub fn holders(&self, now: BootNs) -> Vec<(Agent, Part)> {
        ranked(self.of_window(now).map(|slice| &slice.holders))
    }

    /// Those that waited, longest first.
    #[must_use]
    pub fn waiters(&self, now: BootNs) -> Vec<(Agent, Part)> {
        ranked(self.of_window(now).map(|slice| &slice.waiters))
    }

    fn of_window(&self, now: BootNs) -> impl Iterator<Item = &Slice> {
        let from = now.saturating_sub(self.window);
        self.slices.iter().filter(move |slice| slice.from >= from)
    }

    /// Agents kept, once a slice and side.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slices.iter().map(|slice| slice.holders.len() + slice.waiters.len()).sum()
    }

    /// Waits that could not be put down to an agent for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

impl Slice {
    fn new(from: BootNs) -> Self {
        let (all, in_sum) = (Tally::default(), Tally::default());
        Self { from, all, in_sum, holders: Parts::default(), waiters: Parts::default() }
    }
}

/// Puts a wait down to the agent behind a task; `false` when there is no room for another agent.
fn charge(parts: &mut Parts, party: Party, tally: Tally) -> bool {
    let agent = Agent::behind(&party);
    if parts.len() >= MOST_AGENTS && !parts.contains_key(&agent) {
        return false;
    }
    let part = parts.entry(agent).or_insert(Part { tally: Tally::default(), latest: party });
    part.tally.add(tally);
    part.latest = party;
    true
}

fn ranked<'a>(slices: impl Iterator<Item = &'a Parts>) -> Vec<(Agent, Part)> {
    let mut sum = Parts::default();
    for (agent, part) in slices.flatten() {
        let whole = sum.entry(*agent).or_insert(Part { tally: Tally::default(), ..*part });
        whole.tally.add(part.tally);
        whole.latest = part.latest;
    }
    let mut ranked: Vec<_> = sum.into_iter().collect();
    ranked.sort_by_cached_key(|(agent, part)| {
        (std::cmp::Reverse(part.tally.waited_ns), agent.name())
    });
    ranked
}
