//! A sliding window that counts exactly up to a bound.

use crate::event::BootNs;

/// The times of the latest events: how many fell into the last N seconds, exact up to `capacity`.
///
/// A bounded ring of times instead of buckets: thresholds are small (4, 12), so the ring is too,
/// and an event at second 59 is never rounded out of a 60 s window.
#[derive(Clone, Debug)]
pub struct Window {
    times: Vec<BootNs>,
    capacity: usize,
    next: usize,
}

impl Window {
    /// A window that tells counts up to `capacity` apart.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { times: Vec::new(), capacity: capacity.max(1), next: 0 }
    }

    /// Notes an event. Times may come slightly out of order (two CPUs share the ring).
    pub fn push(&mut self, at: BootNs) {
        if self.times.len() < self.capacity {
            self.times.push(at);
        } else if let Some(oldest) = self.times.get_mut(self.next) {
            *oldest = at;
            self.next = (self.next + 1) % self.capacity;
        }
    }

    /// Tells counts up to another capacity apart; the latest events stay.
    pub fn resize(&mut self, capacity: usize) {
        self.times.rotate_left(self.next);
        self.next = 0;
        self.capacity = capacity.max(1);
        self.times.drain(..self.times.len().saturating_sub(self.capacity));
    }

    /// Notes events of one time; more than the capacity tell nothing more.
    pub fn push_many(&mut self, at: BootNs, events: usize) {
        (0..events.min(self.capacity)).for_each(|_| self.push(at));
    }

    /// Events in the `span` (ns) that ends at `now`; at most the capacity. What is a little later
    /// than `now` counts, as another CPU was ahead; what is later by more than the span is a clock's
    /// mistake.
    #[must_use]
    pub fn count(&self, now: BootNs, span: u64) -> usize {
        let (from, to) = (now.saturating_sub(span), now.saturating_add(span));
        self.times.iter().filter(|at| (from..=to).contains(at)).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_to_its_capacity_and_forgets_the_oldest() {
        let mut window = Window::new(3);
        for at in [10, 20, 30, 40] {
            window.push(at);
        }
        assert_eq!(window.count(40, 100), 3);
        assert_eq!(window.count(40, 10), 2);
        assert_eq!(window.count(1_000, 10), 0);
    }

    #[test]
    fn another_capacity_keeps_the_latest() {
        let mut window = Window::new(3);
        [10, 20, 30, 40].into_iter().for_each(|at| window.push(at));
        window.resize(5);
        assert_eq!(window.count(40, 25), 3, "20, 30 and 40 are there still");
        [50, 60].into_iter().for_each(|at| window.push(at));
        assert_eq!(window.count(60, 100), 5);
        window.resize(2);
        assert_eq!((window.count(60, 100), window.count(60, 10)), (2, 2));
        window.push(70);
        assert_eq!((window.count(70, 100), window.count(70, 10)), (2, 2));
    }

    #[test]
    fn a_time_far_ahead_does_not_count_for_ever() {
        let mut window = Window::new(4);
        for at in [u64::MAX, 105, 111] {
            window.push(at);
        }
        assert_eq!(window.count(100, 10), 1);
        assert_eq!(window.count(u64::MAX, u64::MAX), 3);
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_count(times in prop::collection::vec(0u64..1_000, 0..64), span in 0u64..500) {
            let mut sorted = times;
            sorted.sort_unstable();
            let mut window = Window::new(16);
            for at in &sorted {
                window.push(*at);
            }
            let now = sorted.last().copied().unwrap_or(0);
            let naive = sorted.iter().filter(|at| **at >= now.saturating_sub(span)).count();
            prop_assert_eq!(window.count(now, span), naive.min(16));
        }
    }
}
