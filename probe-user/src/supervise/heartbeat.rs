//! The heartbeat of a loop: whether it turned, and whether it waits for work.
//!
//! A count and no clock: who looks at it has the clock, and only the time in which he himself was
//! awake counts. So neither a suspended machine, nor a stopped agent, nor a starved guest makes a loop
//! look stuck.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Written by one loop, looked at by the supervisor.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

/// Set while the loop works; the bits above count.
const AT_WORK: u64 = 1;
const ONE: u64 = 2;

impl Heartbeat {
    /// A turn begins: the next is due within the loop's limit.
    pub fn turn(&self) {
        self.0.store(self.next() | AT_WORK, Ordering::Relaxed);
    }

    /// The loop waits for work, which takes as long as it takes.
    pub fn rest(&self) {
        self.0.store(self.next() & !AT_WORK, Ordering::Relaxed);
    }

    fn next(&self) -> u64 {
        self.0.load(Ordering::Relaxed).wrapping_add(ONE)
    }

    /// Whether both are of one loop.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// A value that changes with each turn.
    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether a value was read while the loop waited for work.
    pub(super) fn rests(value: u64) -> bool {
        value & AT_WORK == 0
    }
}
