//! The one line an incident reads as.

use std::fmt;

use rustc_hash::FxHashSet;

use super::link::{self, SLACK};
use crate::{
    event::BootNs,
    findings::part::{Clause, Stage},
};

/// Names that are written out; more are counted.
const MOST_NAMES: usize = 3;
/// Things a clause tells apart.
const MOST_THINGS: usize = 512;

/// Clauses, the cause first.
#[derive(Default)]
pub struct Line(Vec<Group>);

/// Clauses that differ only in what they are about.
struct Group {
    stage: Stage,
    before: &'static str,
    after: &'static str,
    unit: &'static str,
    /// When the first of them began.
    since: BootNs,
    things: FxHashSet<u64>,
    names: Vec<String>,
}

impl Line {
    /// Adds a clause of a finding that began at `since`.
    pub fn add(&mut self, clause: Clause, since: BootNs) {
        let Clause { stage, before, after, unit, thing, name } = clause;
        let of = |group: &Group| (group.stage, group.before, group.after);
        let place = match self.0.iter().position(|group| of(group) == (stage, before, after)) {
            Some(place) => place,
            None => {
                let place = self.0.partition_point(|group| group.stage <= stage);
                let (things, names) = (FxHashSet::default(), Vec::new());
                self.0.insert(place, Group { stage, before, after, unit, since, things, names });
                place
            }
        };
        let Some(group) = self.0.get_mut(place) else { return };
        group.since = group.since.min(since);
        let new = group.things.len() < MOST_THINGS && group.things.insert(thing);
        if new && group.names.len() < MOST_NAMES {
            group.names.push(name);
        }
    }
}

impl Group {
    /// What stands between two clauses: an arrow where an effect is declared and the times allow it.
    fn leads_to(&self, next: &Self) -> &'static str {
        let in_time = self.since <= next.since.saturating_add(SLACK);
        if self.stage == next.stage {
            ", "
        } else if link::may_follow(self.stage, next.stage) && in_time {
            " -> "
        } else {
            "; "
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.iter().enumerate() {
            if let Some(before) = index.checked_sub(1).and_then(|before| self.0.get(before)) {
                f.write_str(before.leads_to(group))?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.before)?;
        match (self.things.len(), self.names.as_slice()) {
            (1, [one]) => f.write_str(one)?,
            (2, [one, two]) => write!(f, "{one} and {two}")?,
            (3, [one, two, three]) => write!(f, "{one}, {two} and {three}")?,
            (MOST_THINGS.., _) => write!(f, "{MOST_THINGS} or more {}", self.unit)?,
            (many, _) => write!(f, "{many} {}", self.unit)?,
        }
        f.write_str(self.after)
    }
}
