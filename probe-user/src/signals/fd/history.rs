//! What is known of one holder of fds: a process, or the node.

use std::collections::VecDeque;

use crate::{
    event::{BootNs, Context, FdKind, FdKinds},
    signals::{
        bounded::Aged,
        trend::{self, Trend},
    },
};

use super::KindEvidence;

/// Kinds in a finding.
const TOP: usize = 5;
/// Growth beyond what a holder came back from that is no longer like before (percent).
const LIKE_BEFORE: u64 = 110;

/// A holder's past.
#[derive(Debug, Default)]
pub struct History {
    pub who: Context,
    pub open: u64,
    pub limit: Option<u64>,
    /// When it was looked at and how many fds were open, oldest first.
    looks: VecDeque<(BootNs, u64)>,
    /// When its fds were told apart and what they were, oldest first.
    kinds: VecDeque<(BootNs, FdKinds)>,
    peak: u64,
    came_back_from: u64,
}

impl Aged for History {
    fn latest(&self) -> BootNs {
        self.who.at
    }
}

impl History {
    /// Notes a look. `buckets` rises are kept (one more look).
    pub fn note(&mut self, who: Context, open: u64, limit: Option<u64>, buckets: usize) {
        // Only a closer look tells the cgroup.
        let cgroup = who.cgroup.or(self.who.cgroup);
        (self.who, self.open, self.limit) = (Context { cgroup, ..who }, open, limit);
        if open <= self.peak / 2 {
            self.came_back_from = self.came_back_from.max(self.peak);
            self.peak = 0;
        }
        self.peak = self.peak.max(open);
        while self.looks.len() > buckets {
            self.looks.pop_front();
        }
        self.looks.push_back((who.at, open));
        let from = self.looks.front().map_or(0, |(at, _)| *at);
        self.kinds.retain(|(at, _)| *at >= from);
    }

    /// Notes what the fds are; after [`History::note`].
    pub fn note_kinds(&mut self, kinds: FdKinds) {
        self.kinds.push_back((self.who.at, kinds));
    }

    /// Buckets there are.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.looks.len().saturating_sub(1)
    }

    /// Buckets in which the number rose.
    #[must_use]
    pub fn rising(&self) -> usize {
        trend::rising(self.looks.iter().map(|(_, open)| *open))
    }

    /// The line through the looks.
    #[must_use]
    pub fn trend(&self) -> Trend {
        Trend::of(self.looks.iter().copied())
    }

    /// Whether there are so many fds as the holder had before and came back from.
    #[must_use]
    pub fn like_before(&self) -> bool {
        self.open.saturating_mul(100) <= self.came_back_from.saturating_mul(LIKE_BEFORE)
    }

    /// Of how many fds the kinds tell of one.
    #[must_use]
    pub fn kinds_sampled(&self) -> Option<u64> {
        self.kinds.back().map(|(_, kinds)| kinds.sampled)
    }

    /// The kinds there are most of, or those that grow fastest.
    #[must_use]
    pub fn top_kinds(&self, by_growth: bool) -> Vec<KindEvidence> {
        let (Some((then, before)), Some((now, kinds))) = (self.kinds.front(), self.kinds.back())
        else {
            return Vec::new();
        };
        let seconds = now.saturating_sub(*then) as f64 / 1e9;
        let growth = |kind: &FdKind| {
            let known = before.kinds.iter().find(|other| other.kind == kind.kind);
            let grown = kind.open as f64 - known.map_or(0.0, |known| known.open as f64);
            (seconds > 0.0).then(|| (grown * 3_600.0 / seconds).round() as i64)
        };
        let mut top: Vec<KindEvidence> = kinds
            .kinds
            .iter()
            .map(|kind| KindEvidence {
                kind: kind.kind.to_string(),
                open: kind.open,
                growth_per_hour: growth(kind),
                directory: kind.directory.clone(),
            })
            .collect();
        top.sort_by_key(|kind| {
            let growth = kind.growth_per_hour.filter(|_| by_growth);
            std::cmp::Reverse((growth, kind.open))
        });
        top.truncate(TOP);
        top
    }
}
