//! Ingress and egress of one interface, and how what a snapshot found meets what happened meanwhile.

use super::{
    Operation,
    pair::{BOTH, Pair},
    side::{Change, Presence, Side},
};
use crate::event::BootNs;

/// Priorities of one interface that are compared.
const MOST_PAIRS: usize = 8;
/// Latest requests kept of an interface whose state is not known, for a snapshot that is under way.
const MOST_PENDING: usize = 8;
/// Filters of one interface taken from a snapshot.
const MOST_FOUND: usize = 1_024;

/// A change of a direction while nothing was known.
#[derive(Clone, Copy)]
struct Pending {
    at: BootNs,
    direction: usize,
    change: Change,
}

/// Both directions of an interface.
#[derive(Default)]
pub struct Directions {
    sides: [Side; 2],
    pub pairs: Vec<Pair>,
    found: Vec<(usize, Change)>,
    pending: Vec<Pending>,
    /// When the latest of the changes was that had no room among the pending.
    dropped: BootNs,
    /// When the look that the snapshot took began, and when it ended.
    looked: (BootNs, BootNs),
    /// Up to when time has passed for the pairs.
    passed: BootNs,
    /// Whether the success of a request was only assumed.
    pub assumed: bool,
}

impl Directions {
    /// Lets time pass up to `now`; `limit` is when a disagreement counts (ns).
    pub fn pass(&mut self, now: BootNs, limit: u64) {
        let elapsed = now.saturating_sub(self.passed);
        self.pairs.iter_mut().for_each(|pair| pair.pass(elapsed, limit));
        self.passed = self.passed.max(now);
    }

    /// The clsact was made or deleted: there are no filters.
    pub fn clear(&mut self, at: BootNs) {
        if self.is_told(at) {
            return;
        }
        self.sides.iter_mut().for_each(Side::clear);
        self.pairs.clear();
        self.pending.clear();
        self.assumed = false;
    }

    /// Something was missed.
    pub fn forget(&mut self) {
        self.sides.iter_mut().for_each(Side::forget);
        self.pairs.clear();
    }

    /// Follows a change. Returns the priority and handle of the filter it wrote, if known.
    pub fn change(
        &mut self,
        direction: usize,
        change: Change,
        at: BootNs,
        limit: u64,
    ) -> Option<(u16, u32)> {
        if self.is_told(at) {
            return None;
        }
        self.pass(at, limit);
        let side = &mut self.sides[direction];
        if !side.is_known() {
            if self.pending.len() == MOST_PENDING {
                self.dropped = self.pending.remove(0).at;
            }
            self.pending.push(Pending { at, direction, change });
            return None;
        }
        let written = side.apply(change, at);
        self.assumed |= change.assumed;
        let prio = written.map_or(change.prio, |(prio, _)| prio);
        if change.operation == Operation::Write {
            let pair = self.pairs.iter_mut().find(|pair| pair.prio == prio);
            pair.into_iter().for_each(|pair| pair.written(at));
        }
        self.pair_up(prio);
        self.compare(at, limit);
        written
    }

    /// Takes a filter that a snapshot found.
    pub fn found(&mut self, direction: usize, change: Change) {
        if self.found.len() < MOST_FOUND {
            self.found.push((direction, change));
        }
    }

    /// All that the snapshot found from one moment to another is told. What happened before it is in
    /// it, what came after comes on top; what happened meanwhile may or may not be in it, and then
    /// nothing is known. Returns whether it told anything that was not known before.
    pub fn snapshot(&mut self, from: BootNs, until: BootNs, limit: u64) -> bool {
        let (found, pending) = (std::mem::take(&mut self.found), std::mem::take(&mut self.pending));
        let meanwhile = pending.iter().any(|pending| (from..=until).contains(&pending.at));
        let known_already = self.sides.iter().any(Side::is_known);
        if known_already || meanwhile || self.dropped >= from || found.len() == MOST_FOUND {
            return false;
        }
        for direction in BOTH {
            let of_side = found.iter().filter(|(of, _)| *of == direction);
            self.sides[direction].seed(of_side.map(|(_, change)| *change));
        }
        found.iter().for_each(|(_, change)| self.pair_up(change.prio));
        self.looked = (from, until);
        self.passed = until;
        self.compare(until, limit);
        for Pending { at, direction, change } in pending {
            self.change(direction, change, at, limit);
        }
        true
    }

    /// How many filters of each direction look piled up.
    #[must_use]
    pub fn piled_up(&self) -> [usize; 2] {
        BOTH.map(|direction| self.sides[direction].longest_descent())
    }

    /// Whether the snapshot tells what happened then. What happened during it makes all unknown.
    fn is_told(&mut self, at: BootNs) -> bool {
        let (from, until) = self.looked;
        if (from..=until).contains(&at) {
            self.forget();
        }
        at <= until
    }

    /// Notes a priority that both directions have.
    fn pair_up(&mut self, prio: u16) {
        let has = |side: &Side| matches!(side.at(prio), Presence::One(_) | Presence::Several);
        let known = self.pairs.iter().any(|pair| pair.prio == prio);
        if !known && self.pairs.len() < MOST_PAIRS && self.sides.iter().all(has) {
            self.pairs.push(Pair::new(prio));
        }
    }

    fn compare(&mut self, at: BootNs, limit: u64) {
        self.pairs.retain_mut(|pair| pair.compare(&self.sides, at, limit));
    }
}
