//! A map with a bound: the entry that was quiet for longest makes room.

use std::hash::Hash;

use rustc_hash::FxHashMap;

use crate::event::BootNs;

/// Something that knows when it was last heard of.
pub trait Aged {
    /// When that was (ns since boot).
    fn latest(&self) -> BootNs;
}

/// At most so many entries; what is forgotten for want of room is counted.
pub struct Bounded<K, V> {
    entries: FxHashMap<K, V>,
    most: usize,
    evicted: u64,
}

impl<K: Copy + Eq + Hash, V: Aged> Bounded<K, V> {
    /// An empty map for `most` entries.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { entries: FxHashMap::default(), most, evicted: 0 }
    }

    /// The entry of a key, made when there is none.
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.entries.len() >= self.most && !self.entries.contains_key(&key) {
            let stalest = self.entries.iter().min_by_key(|(_, entry)| entry.latest());
            if let Some(stalest) = stalest.map(|(key, _)| *key) {
                self.entries.remove(&stalest);
                self.evicted += 1;
            }
        }
        self.entries.entry(key).or_insert_with(make)
    }

    /// The entry of a key, if there is one.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Forgets an entry that meets the condition.
    pub fn remove_if(&mut self, key: &K, condition: impl FnOnce(&V) -> bool) {
        if self.entries.get(key).is_some_and(condition) {
            self.entries.remove(key);
        }
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
}
