//! What is not worth a disk: events, in memory, the newest of them.

use std::{collections::VecDeque, sync::Arc};

use crate::sinks::{
    record::Record,
    store::{Most, first},
};

/// What waits at most; then the oldest are given up.
const MOST: Most = Most { records: 4_096, bytes: 4 * 1024 * 1024 };

/// The ring.
#[derive(Default)]
pub struct Ring {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// How many of the oldest are on their way; they are not given up.
    lent: usize,
}

impl Ring {
    /// Takes a record in. Returns how many were given up for it.
    pub fn push(&mut self, record: Arc<Record>) -> usize {
        self.bytes += record.size();
        self.records.push_back(record);
        let mut expired = 0;
        while self.records.len() > MOST.records || self.bytes > MOST.bytes {
            let Some(record) = self.records.remove(self.lent) else { break };
            self.bytes -= record.size();
            expired += 1;
        }
        expired
    }

    /// The oldest.
    pub fn batch(&mut self, most: Most) -> Vec<Arc<Record>> {
        let batch = first(self.records.iter(), most);
        self.lent = batch.len();
        batch
    }

    pub fn forget(&mut self, records: usize) {
        self.lent = self.lent.saturating_sub(records);
        for record in self.records.drain(..records.min(self.records.len())) {
            self.bytes -= record.size();
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }
}
