//! A map with a bound: the entry that was quiet for longest makes room.

use std::{cmp::Reverse, hash::Hash};

use rustc_hash::FxHashMap;

use crate::event::BootNs;

/// One in so many entries is found to be stale in one look.
const SHARE: usize = 32;

/// Something that knows when it was last heard of.
pub trait Aged {
    /// When that was (ns since boot).
    fn latest(&self) -> BootNs;
}

/// At most so many entries; what is forgotten for want of room is counted.
pub struct Bounded<K, V> {
    entries: FxHashMap<K, V>,
    most: usize,
    /// The next to go, the stalest last; may have been heard of since.
    stalest: Vec<(BootNs, K)>,
    evicted: u64,
}

impl<K: Copy + Eq + Hash, V: Aged> Bounded<K, V> {
    /// An empty map for `most` entries.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { entries: FxHashMap::default(), most, stalest: Vec::new(), evicted: 0 }
    }

    /// The entry of a key, made when there is none.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            self.make_room();
        }
        self.entries.entry(key).or_insert_with(make)
    }

    /// Forgets the stalest entry. To look through all of them for each new one would make a storm of
    /// new ones quadratic: one look finds the next few that are to go, and each goes in its turn
    /// unless it was heard of in between.
    fn make_room(&mut self) {
        loop {
            if self.stalest.is_empty() {
                self.find_stalest();
            }
            let Some((latest, key)) = self.stalest.pop() else { return };
            if self.entries.get(&key).is_some_and(|entry| entry.latest() == latest) {
                self.entries.remove(&key);
                self.evicted += 1;
                return;
            }
        }
    }

    /// Puts a share of the entries into `stalest`, at least one, the very stalest last.
    fn find_stalest(&mut self) {
        let mut ages: Vec<(BootNs, K)> =
            self.entries.iter().map(|(key, entry)| (entry.latest(), *key)).collect();
        let share = (self.most / SHARE).max(1);
        if ages.len() > share {
            ages.select_nth_unstable_by_key(share - 1, |(latest, _)| *latest);
            ages.truncate(share);
        }
        ages.sort_unstable_by_key(|(latest, _)| Reverse(*latest));
        ages.shrink_to_fit();
        self.stalest = ages;
    }

    /// The entry of a key, if there is one.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Takes the entry of a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key)
    }

    /// Forgets an entry that meets the condition.
    pub fn remove_if(&mut self, key: &K, condition: impl FnOnce(&V) -> bool) {
        if self.entries.get(key).is_some_and(condition) {
            self.entries.remove(key);
        }
    }

    /// Every entry.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// What every key has.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut()
    }

    /// Looks at every entry and keeps those it is told to.
    pub fn retain(&mut self, keep: impl FnMut(&K, &mut V) -> bool) {
        self.entries.retain(keep);
    }

    /// Entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Entries forgotten for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Aged for BootNs {
        fn latest(&self) -> BootNs {
            *self
        }
    }

    #[test]
    fn the_stalest_makes_room() {
        let mut map = Bounded::new(2);
        map.entry('a', || 30u64);
        map.entry('b', || 10);
        map.entry('b', || 99);
        assert_eq!((map.len(), map.evicted()), (2, 0));
        map.entry('c', || 20);
        assert_eq!((map.len(), map.evicted()), (2, 1));
        assert!(map.get_mut(&'b').is_none());
        map.remove_if(&'a', |at| *at == 31);
        assert!(map.get_mut(&'a').is_some());
        map.remove_if(&'a', |at| *at == 30);
        assert!(map.get_mut(&'a').is_none());
    }

    #[test]
    fn a_storm_of_new_entries_forgets_the_stalest_each_time() {
        let mut map = Bounded::new(640);
        for at in 0..10_000u64 {
            *map.entry(7, || at) = at;
            map.entry(at, || at);
            assert!(map.len() <= 640);
        }
        assert_eq!((map.len(), map.evicted()), (640, 10_000 - 640));
        assert!((10_000 - 639..10_000).all(|at| map.get_mut(&at).is_some()));
        assert!(map.get_mut(&7).is_some(), "heard of all the time");
    }
}
