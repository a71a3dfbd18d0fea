//! Where records wait for their backend.

use std::{collections::VecDeque, future::pending, sync::Arc};

use tokio::time::{Instant, sleep_until};

use super::record::Record;

/// Most of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Records.
    pub records: usize,
    /// Their sizes together (bytes); one record alone may be larger.
    pub bytes: usize,
}

/// Keeps records in their order, until they are taken.
pub trait Store: Send {
    /// Whether it takes another record now. Where it does not, records wait in the queue before it,
    /// and are counted as dropped when that is full.
    fn has_room(&self) -> bool;

    /// Takes a record in.
    fn push(&mut self, record: Arc<Record>);

    /// Makes sure of what was taken in: from now on it survives the process, where the store can that.
    fn settle(&mut self) {}

    /// The oldest records, at most so much.
    fn batch(&mut self, most: Most) -> Vec<Arc<Record>>;

    /// Forgets the oldest records: they are taken, or written down elsewhere.
    fn forget(&mut self, records: usize);

    /// What happened to its records since it was last asked.
    fn take_news(&mut self) -> News {
        News::default()
    }

    /// Does what is due with time.
    fn tend(&mut self) {}

    /// When something is due next, if anything is.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Records that wait.
    fn waiting(&self) -> usize;

    /// Of those that wait, what would be missed after the end of the process.
    fn perishable(&self) -> usize;
}

/// Waits until something is due, or for ever.
pub async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// What happened to a store's records without anybody's doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Records that an earlier process left.
    pub resumed: usize,
    /// Records given up: the oldest, for want of room or for their age, and what cannot be read.
    pub expired: usize,
}

/// A batch in memory, for what can be lost with the process. The rest waits in the queue.
pub struct Memory {
    most: Most,
    bytes: usize,
    records: VecDeque<Arc<Record>>,
}

impl Memory {
    /// Room for one batch.
    #[must_use]
    pub fn new(most: Most) -> Self {
        Self { most, bytes: 0, records: VecDeque::new() }
    }
}

impl Store for Memory {
    fn has_room(&self) -> bool {
        self.records.len() < self.most.records && self.bytes < self.most.bytes
    }

    fn push(&mut self, record: Arc<Record>) {
        self.bytes += record.size();
        self.records.push_back(record);
    }

    fn batch(&mut self, most: Most) -> Vec<Arc<Record>> {
        first(self.records.iter(), most)
    }

    fn forget(&mut self, records: usize) {
        let gone = self.records.drain(..records.min(self.records.len()));
        self.bytes -= gone.map(|record| record.size()).sum::<usize>();
    }

    fn waiting(&self) -> usize {
        self.records.len()
    }

    fn perishable(&self) -> usize {
        self.records.len()
    }
}

/// The first of `records`, at most so much, but one at least.
pub fn first<'a>(records: impl Iterator<Item = &'a Arc<Record>>, most: Most) -> Vec<Arc<Record>> {
    let mut bytes = 0;
    let fits = |(index, record): &(usize, &Arc<Record>)| {
        bytes += record.size();
        *index == 0 || (*index < most.records && bytes <= most.bytes)
    };
    records.enumerate().take_while(fits).map(|(_, record)| Arc::clone(record)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::testing::finding;

    #[test]
    fn a_batch_is_bounded_by_records_and_bytes_but_never_empty() {
        let record = Arc::new(Record::of_finding(finding()));
        let size = record.size();
        let mut memory = Memory::new(Most { records: 4, bytes: 100 * size });
        (0..4).for_each(|_| memory.push(Arc::clone(&record)));
        assert!(!memory.has_room());
        let of = |memory: &mut Memory, records, bytes| memory.batch(Most { records, bytes }).len();
        assert_eq!(of(&mut memory, 3, usize::MAX), 3);
        assert_eq!(of(&mut memory, 9, 2 * size), 2);
        assert_eq!(of(&mut memory, 9, 1), 1, "one that is too large alone goes alone");
        memory.forget(3);
        assert!(memory.has_room());
        assert_eq!((memory.waiting(), memory.bytes), (1, size));
        memory.forget(9);
        assert_eq!((memory.waiting(), memory.bytes), (0, 0));
    }
}
