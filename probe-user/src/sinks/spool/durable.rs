//! What outlives the process: three stretches of one queue. The oldest records are `ahead`, on the disk
//! and in memory; then come those that are on the disk only; the youngest are `homeless`, in memory
//! only: until they are settled, or for as long as the disk takes none.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Limits, Opener,
    disk::{Ahead, Disk, Since},
    files::{Files, SpoolError},
    teller::Teller,
};
use crate::sinks::{
    record::Record,
    store::{Most, News, first},
};

/// What may wait in memory only.
const HOMELESS: Most = Most { records: 1_024, bytes: 4 * 1024 * 1024 };
/// What is kept in memory of what is on the disk (bytes), so that a sink that keeps up never reads.
const AHEAD: usize = 1024 * 1024;
/// Time between two looks at what changes with time alone.
const LOOK: Duration = Duration::from_secs(1);
/// First and longest time until a disk that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// In memory only.
struct Homeless {
    record: Arc<Record>,
    since: Since,
}

/// The durable part of a spool.
pub struct Durable {
    dir: PathBuf,
    limits: Limits,
    opener: Opener,
    teller: Teller,
    /// Opened, and not looked into yet.
    files: Option<Box<dyn Files>>,
    disk: Option<Disk>,
    ahead: VecDeque<Ahead>,
    ahead_bytes: usize,
    homeless: VecDeque<Homeless>,
    homeless_bytes: usize,
    /// How many of the oldest are on their way; they stay where they are.
    lent: usize,
    news: News,
    looked: Instant,
    /// When a disk that failed is tried again, and how long after that.
    retry: Option<(Instant, Duration)>,
}

impl Durable {
    /// Opens the directory, or tells why it cannot be and goes on without.
    pub fn new(dir: PathBuf, limits: Limits, mut opener: Opener, teller: Teller) -> Self {
        let opened = opener(&dir);
        let mut durable = Self {
            dir,
            limits,
            opener,
            teller,
            files: None,
            disk: None,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            homeless: VecDeque::new(),
            homeless_bytes: 0,
            lent: 0,
            news: News::default(),
            looked: Instant::now(),
            retry: None,
        };
        match opened {
            Ok(files) => {
                durable.files = Some(files);
                durable.teller.works();
            }
            Err(error) => durable.failed(&error),
        }
        durable
    }

    /// Why what comes in ends with the process, if it does.
    pub fn trouble(&self) -> Option<&str> {
        self.teller.trouble()
    }

    pub fn has_room(&self) -> bool {
        self.homeless.len() < HOMELESS.records && self.homeless_bytes < HOMELESS.bytes
    }

    pub fn push(&mut self, record: Arc<Record>) {
        self.homeless_bytes += record.size();
        self.homeless.push_back(Homeless { record, since: Since::now() });
    }

    pub fn waiting(&self) -> usize {
        self.ahead.len() + self.unread() + self.homeless.len()
    }

    pub fn perishable(&self) -> usize {
        self.homeless.len()
    }

    /// What of it is in memory (bytes).
    #[cfg(test)]
    pub fn in_memory(&self) -> usize {
        self.ahead_bytes + self.homeless_bytes
    }

    fn unread(&self) -> usize {
        self.disk.as_ref().map_or(0, Disk::unread)
    }

    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Writes down what is in memory only, unless the disk failed a moment ago.
    pub fn settle(&mut self) {
        let waits = self.retry.is_some_and(|(at, _)| Instant::now() < at);
        if !waits && let Err(error) = self.write() {
            self.failed(&error);
        }
        self.tell();
    }

    fn write(&mut self) -> Result<(), SpoolError> {
        let failed = |source| SpoolError::Write { dir: self.dir.clone(), source };
        let Some(disk) = &mut self.disk else { return Ok(()) };
        if self.homeless.is_empty() && self.retry.is_none() {
            return Ok(());
        }
        let mut places = Vec::new();
        let records = self.homeless.iter().map(|homeless| &homeless.record);
        let written = disk.write(records, &mut places);
        // What is in memory can stay there as long as nothing before it is on the disk only.
        let mut gapless = disk.unread() == places.iter().flatten().count();
        for place in places {
            let Some(Homeless { record, since }) = self.homeless.pop_front() else { break };
            self.homeless_bytes -= record.size();
            let Some(place) = place else {
                self.teller.too_long(&record.meta.id);
                self.news.expired += 1;
                continue;
            };
            gapless &= self.ahead_bytes < AHEAD || self.ahead.len() < self.lent;
            if gapless {
                disk.keeps(place);
                self.ahead_bytes += record.size();
                self.ahead.push_back(Ahead { record, place, since });
            }
        }
        let written = written.and_then(|()| disk.make_writable());
        written.and_then(|()| disk.sync_as_wanted(false)).map_err(failed)?;
        if self.retry.take().is_some() {
            self.teller.works();
        }
        Ok(())
    }

    /// The disk takes nothing for now.
    fn failed(&mut self, error: &SpoolError) {
        self.teller.failed(error);
        let (first, longest) = RETRY;
        let pause = self.retry.map_or(first, |(_, pause)| (pause * 2).min(longest));
        self.retry = Some((Instant::now() + pause, pause));
        let gone = matches!(error, SpoolError::Write { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound);
        if gone && let Some(disk) = self.disk.take() {
            // Somebody removed the directory. What is in memory too has no home any more.
            self.news.expired += disk.unread();
            self.ahead_bytes = 0;
            for Ahead { record, since, .. } in self.ahead.drain(..).rev() {
                self.homeless_bytes += record.size();
                self.homeless.push_front(Homeless { record, since });
            }
        }
    }

    /// Opens what is not open. What an earlier process left comes before all else, so nothing may be on
    /// its way.
    fn open(&mut self) {
        let due = self.retry.is_none_or(|(at, _)| Instant::now() >= at);
        if self.disk.is_some() || !due || self.lent > 0 {
            return;
        }
        let (dir, limits, teller) = (&self.dir, self.limits, &mut self.teller);
        let files = self.files.take().map_or_else(|| (self.opener)(dir), Ok);
        let opened = files.and_then(|files| {
            let failed = |source| SpoolError::Open { dir: dir.clone(), source };
            Disk::open(files, limits, teller).map_err(failed)
        });
        match opened {
            Ok(disk) => {
                self.news.resumed += disk.unread();
                self.disk = Some(disk);
                self.retry = None;
                self.teller.works();
            }
            Err(error) => self.failed(&error),
        }
    }

    /// The oldest records. Those of the last batch that are not forgotten are on no way any more.
    pub fn batch(&mut self, most: Most) -> Vec<Arc<Record>> {
        self.lent = 0;
        self.open();
        self.expire_in_memory();
        while let Some(disk) = &mut self.disk
            && (self.ahead.len() < most.records && self.ahead_bytes < most.bytes)
            && let Some(ahead) = disk.read_ahead(&mut self.news, &mut self.teller)
        {
            self.ahead_bytes += ahead.iter().map(|ahead| ahead.record.size()).sum::<usize>();
            self.ahead.extend(ahead);
        }
        let whole = self.unread() == 0;
        let homeless = self.homeless.iter().filter(|_| whole).map(|homeless| &homeless.record);
        let records = self.ahead.iter().map(|ahead| &ahead.record).chain(homeless);
        let batch = first(records, most);
        self.lent = batch.len();
        batch
    }

    pub fn forget(&mut self, records: usize) {
        self.lent = self.lent.saturating_sub(records);
        let ahead = records.min(self.ahead.len());
        let gone: Vec<_> = self.ahead.drain(..ahead).collect();
        self.ahead_bytes -= gone.iter().map(|ahead| ahead.record.size()).sum::<usize>();
        if let Some(disk) = &mut self.disk {
            let places: Vec<_> = gone.iter().map(|ahead| ahead.place).collect();
            disk.acknowledge(&places, &mut self.teller);
        }
        for homeless in self.homeless.drain(..(records - ahead).min(self.homeless.len())) {
            self.homeless_bytes -= homeless.record.size();
        }
        self.tell();
    }

    /// Gives up what is too old. Nothing is on its way.
    fn expire_in_memory(&mut self) {
        let old = |since: Since| since.age() > self.limits.age;
        let ahead = self.ahead.iter().take_while(|ahead| old(ahead.since)).count();
        let homeless = match ahead == self.ahead.len() && self.unread() == 0 {
            true => self.homeless.iter().take_while(|homeless| old(homeless.since)).count(),
            false => 0,
        };
        if ahead + homeless > 0 {
            self.expired(ahead + homeless);
            self.forget(ahead + homeless);
        }
    }

    fn expired(&mut self, records: usize) {
        self.news.expired += records;
        self.teller.expired(records);
    }

    /// Does what is due with time.
    pub fn tend(&mut self) {
        self.open();
        let expired = self.disk.as_mut().map_or(0, Disk::expire);
        self.expired(expired);
        let synced = self.disk.as_mut().map_or(Ok(()), |disk| disk.sync_as_wanted(true));
        if let Err(source) = synced {
            self.failed(&SpoolError::Write { dir: self.dir.clone(), source });
        }
        self.looked = Instant::now();
        self.settle();
    }

    /// When something is due next.
    pub fn due(&self) -> Option<Instant> {
        // It is not opened while something is on its way.
        let retry = self.retry.filter(|_| self.disk.is_some() || self.lent == 0);
        let unsynced = self.disk.as_ref().is_some_and(Disk::is_unsynced);
        let look = (unsynced || self.waiting() > 0).then(|| self.looked + LOOK);
        look.into_iter().chain(retry.map(|(at, _)| at)).min()
    }

    fn tell(&mut self) {
        let disk = self.disk.as_ref();
        let ahead = self.ahead.front().map(|ahead| ahead.since);
        let oldest = ahead
            .or_else(|| disk.and_then(Disk::since))
            .or_else(|| self.homeless.front().map(|homeless| homeless.since));
        let (bytes, age) = (disk.map_or(0, Disk::bytes), oldest.map_or(Duration::ZERO, Since::age));
        self.teller.levels(self.waiting(), bytes, age);
    }
}

impl Drop for Durable {
    /// What the last failure kept from the disk has one more chance.
    fn drop(&mut self) {
        let _ = self.write();
    }
}
