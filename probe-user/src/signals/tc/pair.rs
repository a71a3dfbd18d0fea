//! The two directions at one priority, which an agent keeps alike: how long they have not been.

use super::side::{Presence, Side};
use crate::event::BootNs;

/// Writes that must come after two handles began to differ: one may be the other half of an update.
const WRITES_GO_ON: u64 = 2;
/// Times an agreement weighs what a disagreement does. While an agent swaps filters for ever, each
/// state comes up for moments; which one it rests in is what counts.
const AGREEMENT_WEIGHS: u64 = 2;

/// A direction as an index.
pub const BOTH: [usize; 2] = [0, 1];

/// How ingress and egress compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Agree,
    /// One filter each, with these handles.
    Differ([u32; 2]),
    /// Nothing in this direction, where there was.
    Missing(usize),
    /// Between two states, or not known.
    Unclear,
}

/// A priority that both directions had.
#[derive(Debug)]
pub struct Pair {
    pub prio: u16,
    pub relation: Relation,
    /// When the disagreement began, while there is one.
    since: Option<BootNs>,
    /// Time in disagreement, less that in agreement (ns).
    balance: u64,
    /// Writes of either direction since it began, and the latest.
    pub writes: u64,
    latest_write: BootNs,
}

impl Pair {
    /// A pair that was just seen on both sides.
    #[must_use]
    pub fn new(prio: u16) -> Self {
        let relation = Relation::Unclear;
        Self { prio, relation, since: None, balance: 0, writes: 0, latest_write: 0 }
    }

    /// Lets `elapsed` ns pass in the present relation; `limit` is when a disagreement counts (ns).
    pub fn pass(&mut self, elapsed: u64, limit: u64) {
        match self.relation {
            // Not much more than the limit is kept, so that what is mended is over soon.
            Relation::Differ(_) | Relation::Missing(_) => {
                self.balance = self.balance.saturating_add(elapsed).min(limit + limit / 10);
            }
            Relation::Agree => {
                let weight = elapsed.saturating_mul(AGREEMENT_WEIGHS);
                self.balance = self.balance.saturating_sub(weight);
            }
            Relation::Unclear => {}
        }
        if self.balance == 0 && self.relation == Relation::Agree {
            self.since = None;
        }
    }

    /// Notes a write of either direction at this priority.
    pub fn written(&mut self, at: BootNs) {
        self.writes += 1;
        self.latest_write = at;
    }

    /// Looks at the two sides anew. Whether the pair is still one.
    pub fn compare(&mut self, sides: &[Side; 2], at: BootNs, limit: u64) -> bool {
        let [ingress, egress] = sides;
        let relation = match (ingress.at(self.prio), egress.at(self.prio)) {
            (Presence::Absent, Presence::Absent) => return false,
            (Presence::Absent, Presence::One(_) | Presence::Several) => Relation::Missing(0),
            (Presence::One(_) | Presence::Several, Presence::Absent) => Relation::Missing(1),
            (Presence::One(a), Presence::One(b)) if a.number == b.number => Relation::Agree,
            // Who asks for two handles wants two.
            (Presence::One(a), Presence::One(b)) if a.named && b.named => Relation::Agree,
            (Presence::One(a), Presence::One(b)) => Relation::Differ([a.number, b.number]),
            _ => Relation::Unclear,
        };
        self.relation = match relation {
            Relation::Missing(gone) if self.moved(gone, sides, at, limit) => Relation::Unclear,
            relation => relation,
        };
        let disagree = matches!(self.relation, Relation::Differ(_) | Relation::Missing(_));
        if disagree && self.since.is_none() {
            (self.since, self.balance, self.writes) = (Some(at), 0, 0);
        }
        true
    }

    /// Since when the directions have disagreed, when that has been for longer than `limit` (ns) and
    /// the agent goes on writing, or one direction is missing.
    #[must_use]
    pub fn disagrees(&self, now: BootNs, limit: u64) -> Option<BootNs> {
        let goes_on = self.writes >= WRITES_GO_ON && now.saturating_sub(self.latest_write) <= limit;
        let counts = match self.relation {
            Relation::Missing(_) => true,
            Relation::Differ(_) => goes_on,
            Relation::Agree | Relation::Unclear => false,
        };
        self.since.filter(|_| counts && self.balance > limit)
    }

    /// Whether the filter that is missing went to another priority of the same direction.
    fn moved(&self, gone: usize, sides: &[Side; 2], at: BootNs, limit: u64) -> bool {
        let [ingress, egress] = sides;
        let (here, there) = if gone == 0 { (ingress, egress) } else { (egress, ingress) };
        here.gained_alone(there, self.since.unwrap_or(at).saturating_sub(limit).max(1))
    }
}
