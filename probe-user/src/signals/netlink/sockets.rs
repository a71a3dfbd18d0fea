//! The table of open sockets and of those who hold them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque, hash_map::Entry},
    hash::Hash,
};

use rustc_hash::{FxHashMap, FxHashSet};

use super::birthplace::{Birth, Birthplace, NAMED};
use crate::{
    event::{BootNs, Context},
    signals::trend,
};

/// Sockets remembered at once; more are counted and left out.
const MOST_SOCKETS: usize = 65_536;

/// Holders remembered at once; sockets of more are counted and left out. A holder has a history, so
/// it takes ten times what a socket does.
const MOST_HOLDERS: usize = 8_192;

/// A process and a netlink protocol.
pub type Holder = (u32, u32);

/// What one process holds of one protocol.
#[derive(Debug)]
pub struct Holding {
    pub open: usize,
    /// Those of them that were open before the agent started.
    pub seeded: usize,
    pub opened_total: u64,
    /// Sockets open at the end of each past bucket, oldest first.
    pub history: VecDeque<usize>,
    pub who: Context,
    netns: FxHashMap<u32, usize>,
    births: FxHashMap<Birth, usize>,
}

impl Holding {
    /// Where most of the open sockets were made, most first.
    #[must_use]
    pub fn birthplaces(&self) -> Vec<Birthplace> {
        let mut births: Vec<(Birth, usize)> =
            self.births.iter().map(|(birth, open)| (*birth, *open)).collect();
        births.sort_unstable_by_key(|(birth, open)| (Reverse(*open), *birth));
        births.truncate(NAMED);
        let place = |(birth, open): (Birth, usize)| {
            Birthplace::new(birth, open as u64, self.of_caller(birth), self.open as u64)
        };
        births.into_iter().map(place).collect()
    }

    /// Open sockets made by the same caller.
    fn of_caller(&self, birth: Birth) -> u64 {
        let Birth::Noted { caller, .. } = birth else { return 0 };
        let same = self.births.iter().filter(
            |(other, _)| matches!(other, Birth::Noted { caller: theirs, .. } if *theirs == caller),
        );
        same.map(|(_, open)| *open as u64).sum()
    }

    /// Network namespaces the open sockets are in; at least 1.
    #[must_use]
    pub fn netns_count(&self) -> usize {
        self.netns.len().max(1)
    }

    /// Sockets a namespace, rounded up: what a leak makes grow.
    #[must_use]
    pub fn per_netns(&self) -> usize {
        self.open.div_ceil(self.netns_count())
    }

    /// Buckets in which the number of open sockets rose.
    #[must_use]
    pub fn rising(&self) -> usize {
        trend::rising(self.history.iter())
    }
}

#[derive(Clone, Copy, Debug)]
struct Socket {
    holder: Holder,
    netns: u32,
    /// When it was opened; when it was found, if that was before the agent started.
    opened: BootNs,
    birth: Birth,
}

/// Every open netlink socket the agent saw opening, or found.
#[derive(Default)]
pub struct Sockets {
    sockets: FxHashMap<u64, Socket>,
    holders: BTreeMap<Holder, Holding>,
    left_out: u64,
}

impl Sockets {
    /// Notes a new socket and returns its holder. An id that is still open was closed unseen
    /// (close_range, exec, a namespace's end) and is used again.
    pub fn open(
        &mut self,
        id: u64,
        protocol: u32,
        birth: Birth,
        context: &Context,
    ) -> Option<Holder> {
        self.close(id);
        let (holder, netns) = ((context.pid, protocol), context.netns.unwrap_or(0));
        let full = self.holders.len() >= MOST_HOLDERS && !self.holders.contains_key(&holder);
        if full || self.sockets.len() >= MOST_SOCKETS {
            self.left_out += 1;
            return None;
        }
        self.sockets.insert(id, Socket { holder, netns, opened: context.at, birth });
        let holding = self.holders.entry(holder).or_insert_with(|| Holding {
            open: 0,
            seeded: 0,
            opened_total: 0,
            history: VecDeque::new(),
            who: *context,
            netns: FxHashMap::default(),
            births: FxHashMap::default(),
        });
        let seeded = birth == Birth::Older;
        holding.open += 1;
        holding.seeded += usize::from(seeded);
        holding.opened_total += u64::from(!seeded);
        holding.who = *context;
        *holding.netns.entry(netns).or_default() += 1;
        *holding.births.entry(birth).or_default() += 1;
        Some(holder)
    }

    /// Notes the end of a socket; an unknown one is the kernel's, or /proc did not show it.
    pub fn close(&mut self, id: u64) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        let Some(holding) = self.holders.get_mut(&socket.holder) else { return };
        holding.open -= 1;
        holding.seeded -= usize::from(socket.birth == Birth::Older);
        one_less(&mut holding.netns, socket.netns);
        one_less(&mut holding.births, socket.birth);
        if holding.open == 0 {
            self.holders.remove(&socket.holder);
        }
    }

    /// Notes sockets that came and went; they matter only to who holds others.
    pub fn passed(&mut self, holder: Holder, sockets: u64) {
        if let Some(holding) = self.holders.get_mut(&holder) {
            holding.opened_total += sockets;
        }
    }

    /// Notes the end of a process and of all it still had.
    pub fn forget(&mut self, pid: u32) {
        if !self.holds(pid) {
            return;
        }
        self.sockets.retain(|_, socket| socket.holder.0 != pid);
        self.holders.retain(|(holder, _), _| *holder != pid);
    }

    /// Whether a socket is known.
    #[must_use]
    pub fn knows(&self, id: u64) -> bool {
        self.sockets.contains_key(&id)
    }

    /// Notes the end of sockets opened up to `at` that are gone: nobody saw them closing.
    pub fn close_gone(&mut self, at: BootNs, is_gone: impl Fn(u64, u32) -> bool) {
        let gone = self
            .sockets
            .iter()
            .filter(|(id, socket)| socket.opened <= at && is_gone(**id, socket.holder.0));
        let gone: Vec<u64> = gone.map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|id| self.close(id));
    }

    /// Ends a bucket: notes how many are open now, keeping `buckets` rises (one more end).
    pub fn end_bucket(&mut self, buckets: usize) {
        for holding in self.holders.values_mut() {
            while holding.history.len() > buckets {
                holding.history.pop_front();
            }
            holding.history.push_back(holding.open);
        }
    }

    /// Forgets how many were open; who holds them now stays known.
    pub fn forget_histories(&mut self) {
        self.holders.values_mut().for_each(|holding| holding.history.clear());
    }

    /// What a holder holds.
    #[must_use]
    pub fn holding(&self, holder: Holder) -> Option<&Holding> {
        self.holders.get(&holder)
    }

    /// Drops what is kept of processes that hold no sockets any more.
    pub fn forget_others<T>(&self, kept: &mut FxHashMap<u32, T>) {
        let pids: FxHashSet<u32> = self.holders.keys().map(|(pid, _)| *pid).collect();
        kept.retain(|pid, _| pids.contains(pid));
    }

    /// Whether a process holds sockets.
    #[must_use]
    pub fn holds(&self, pid: u32) -> bool {
        self.holders.range((pid, 0)..=(pid, u32::MAX)).next().is_some()
    }

    /// All holders with what they hold.
    pub fn holders(&self) -> impl Iterator<Item = (Holder, &Holding)> {
        self.holders.iter().map(|(holder, holding)| (*holder, holding))
    }

    /// When the oldest open socket of a holder was opened. Walks all sockets: for findings only.
    #[must_use]
    pub fn oldest(&self, holder: Holder) -> Option<BootNs> {
        let held = self.sockets.values().filter(|socket| socket.holder == holder);
        held.map(|socket| socket.opened).min()
    }

    /// Sockets known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Sockets left out because the table was full.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// Counts one less of `key`, and forgets it with the last.
fn one_less<K: Eq + Hash>(counts: &mut FxHashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}
