//! A store that outlives the process. Findings are written to the disk before they are handed over, and
//! leave it when the other side has them; events stay in memory.
//!
//! ```text
//! <dir>/<sink>/0000000000000001.segment   records, checksummed (segment.rs); deleted when all are taken
//!              cursor                     how far the other side has them
//!              lock                       flock(2): one process at a time
//!              dead.jsonl                 what the other side will never take (dead.rs)
//! ```
//!
//! A crash at any moment costs at most that something is sent again: a record leaves the disk only by
//! the cursor, and a cursor that is lost or damaged counts for nothing. Where the disk takes nothing,
//! findings wait in memory, within bounds, and it is tried again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    record::{Kind, Record},
    store::{Most, News, Store},
};
use crate::config::spool::{Fsync, SinkSpoolConfig};

mod disk;
mod durable;
mod files;
mod ring;
pub(crate) mod segment;
mod teller;

use durable::Durable;
pub use files::SpoolError;
use files::{Directory, Files};
use ring::Ring;
pub use segment::How;
pub use teller::Teller;

/// Opens the files of a directory.
type Opener = Box<dyn FnMut(&Path) -> Result<Box<dyn Files>, SpoolError> + Send>;

/// How much may wait for how long, and how safely.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all files together (bytes).
    pub bytes: u64,
    pub age: Duration,
    pub fsync: Fsync,
    /// Whether events are written to the disk too.
    pub events: bool,
}

impl From<&SinkSpoolConfig> for Limits {
    fn from(config: &SinkSpoolConfig) -> Self {
        let (bytes, age) = (config.bytes(), config.age());
        Self { bytes, age, fsync: config.fsync, events: config.events }
    }
}

/// The spool of a sink.
pub struct Spool {
    durable: Durable,
    ring: Ring,
    events: bool,
    /// Records of the last batch that are durable; those from the ring are behind them.
    lent: usize,
    /// Events given up.
    expired: usize,
}

impl Spool {
    /// Takes the directory for this process; if that cannot be, it goes on in memory and tries again.
    #[must_use]
    pub fn open(dir: PathBuf, limits: Limits, teller: Teller) -> Self {
        let opener: Opener = Box::new(|dir| Ok(Box::new(Directory::open(dir)?)));
        Self::opened_by(opener, dir, limits, teller)
    }

    fn opened_by(opener: Opener, dir: PathBuf, limits: Limits, teller: Teller) -> Self {
        let durable = Durable::new(dir, limits, opener, teller);
        Self { durable, ring: Ring::default(), events: limits.events, lent: 0, expired: 0 }
    }

    /// Why what it takes in ends with the process, if it does.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.durable.trouble()
    }
}

impl Store for Spool {
    fn has_room(&self) -> bool {
        self.durable.has_room()
    }

    fn push(&mut self, record: Arc<Record>) {
        match record.meta.kind {
            Kind::Event if !self.events => self.expired += self.ring.push(record),
            Kind::Event | Kind::Finding => self.durable.push(record),
        }
    }

    fn settle(&mut self) {
        self.durable.settle();
    }

    fn batch(&mut self, most: Most) -> Vec<Arc<Record>> {
        let mut batch = self.durable.batch(most);
        self.lent = batch.len();
        let taken: usize = batch.iter().map(|record| record.size()).sum();
        let left = Most {
            records: most.records.saturating_sub(batch.len()),
            bytes: most.bytes.saturating_sub(taken),
        };
        if batch.is_empty() || (left.records > 0 && left.bytes > 0) {
            let events = self.ring.batch(left);
            let fits = batch.is_empty() || events.first().is_none_or(|e| e.size() <= left.bytes);
            batch.extend(events.into_iter().filter(|_| fits));
        }
        batch
    }

    fn forget(&mut self, records: usize) {
        let durable = records.min(self.lent);
        self.lent -= durable;
        self.durable.forget(durable);
        self.ring.forget(records - durable);
    }

    fn take_news(&mut self) -> News {
        let news = self.durable.take_news();
        News { expired: news.expired + std::mem::take(&mut self.expired), ..news }
    }

    fn tend(&mut self) {
        self.durable.tend();
    }

    fn due(&self) -> Option<Instant> {
        self.durable.due()
    }

    fn waiting(&self) -> usize {
        self.durable.waiting() + self.ring.len()
    }

    fn perishable(&self) -> usize {
        // Events are lost with the process by design, and counted as what waited.
        self.durable.perishable()
    }
}

#[cfg(test)]
mod tests;
