//! The spool on the disk: segments in their order, the last of which is written to, and how far the
//! other side has them.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    Limits,
    files::{Files, name},
    segment::{self, AT_ONCE, ENOUGH, Place},
    teller::Teller,
};
use crate::{config::spool::Fsync, sinks::record::Record};

/// A segment takes no further record when it is this old: it expires as a whole.
const OLD: Duration = Duration::from_secs(600);
/// A segment that the other side has whole goes on being written to up to this size (bytes).
const WORTH_KEEPING: u64 = 64 * 1024;
/// What a file takes at least (bytes).
const BLOCK: u64 = 4096;

/// Since when something waits. Wherever the calendar of the node jumps to, waiting goes on as before.
#[derive(Clone, Copy, Debug)]
pub struct Since {
    at: Instant,
    before: Duration,
}

impl Since {
    /// Since now.
    #[must_use]
    pub fn now() -> Self {
        Self { at: Instant::now(), before: Duration::ZERO }
    }

    /// Since a time of the calendar, which may be of the future where that was set back.
    fn of(time: SystemTime) -> Self {
        Self { at: Instant::now(), before: time.elapsed().unwrap_or_default() }
    }

    /// How long that is.
    #[must_use]
    pub fn age(self) -> Duration {
        self.at.elapsed() + self.before
    }
}

/// A segment of which the other side has not everything.
struct Segment {
    number: u64,
    bytes: u64,
    since: Since,
    /// Records that are only there.
    unread: usize,
    /// Where those begin.
    from: u64,
    /// Records that are in memory too.
    ahead: usize,
}

/// A record of the disk, in memory.
pub struct Ahead {
    pub record: Arc<Record>,
    pub place: Place,
    pub since: Since,
}

/// The spool of one sink.
pub struct Disk {
    files: Box<dyn Files>,
    limits: Limits,
    segments: VecDeque<Segment>,
    /// Number of the next one.
    next: u64,
    /// Whether the last one is open.
    writing: bool,
    unsynced: bool,
}

impl Disk {
    /// Looks what there is.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn open(
        mut files: Box<dyn Files>,
        limits: Limits,
        teller: &mut Teller,
    ) -> io::Result<Self> {
        let cursor = files.cursor()?;
        let done = Place::of(&cursor);
        if done.is_none() && !cursor.is_empty() {
            teller.cursor_is_damaged();
        }
        let done = done.unwrap_or_default();
        if cursor.is_empty() {
            // Now, while there may be room for it: afterwards it takes no more.
            let _ = files.set_cursor(&done.bytes());
        }
        let mut numbers = files.list()?;
        numbers.sort_unstable();
        let highest = numbers.last().copied().unwrap_or_default().max(done.segment);
        let next = highest.saturating_add(1);
        let segments = VecDeque::new();
        let mut disk = Self { files, limits, segments, next, writing: false, unsynced: false };
        for number in numbers {
            if number < done.segment {
                let _ = disk.files.remove(number);
            } else {
                disk.take_stock(number, if number == done.segment { done.end } else { 0 }, teller);
            }
        }
        Ok(disk)
    }

    fn take_stock(&mut self, number: u64, from: u64, teller: &mut Teller) {
        let bytes = match self.files.read(number) {
            Ok(bytes) => bytes,
            Err(error) => return teller.unreadable(&name(number), &error),
        };
        let contents = segment::read(&bytes, usize::try_from(from).unwrap_or(usize::MAX));
        if contents.foreign {
            return teller.foreign(&name(number));
        }
        teller.damaged(&name(number), &contents.damage);
        if contents.records.is_empty() {
            let _ = self.files.remove(number);
            return;
        }
        let since = contents.made.map_or_else(Since::now, Since::of);
        let (bytes, unread) = (bytes.len() as u64, contents.records.len());
        self.segments.push_back(Segment { number, bytes, since, unread, from, ahead: 0 });
    }

    /// Records that are not in memory.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.segments.iter().map(|segment| segment.unread).sum()
    }

    /// What all files take (bytes).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes.max(BLOCK)).sum()
    }

    /// Since when the oldest record waits that is not in memory.
    #[must_use]
    pub fn since(&self) -> Option<Since> {
        self.segments.iter().find(|segment| segment.unread > 0).map(|segment| segment.since)
    }

    /// Writes records. `places` gets where each is, as far as it came; `None` for one that is longer
    /// than a frame can be.
    ///
    /// # Errors
    /// Of the first write that failed. What was written of the records that have no place is taken back,
    /// or comes twice.
    pub fn write<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Arc<Record>>,
        places: &mut Vec<Option<Place>>,
    ) -> io::Result<()> {
        let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
        for record in records {
            let before = bytes.len();
            if !segment::append(&mut bytes, record) {
                lengths.push(None);
                continue;
            }
            lengths.push(Some(bytes.len() - before));
            if bytes.len() >= AT_ONCE {
                self.flush(&mut bytes, &mut lengths, places)?;
            }
        }
        self.flush(&mut bytes, &mut lengths, places)
    }

    fn flush(
        &mut self,
        bytes: &mut Vec<u8>,
        lengths: &mut Vec<Option<usize>>,
        places: &mut Vec<Option<Place>>,
    ) -> io::Result<()> {
        if bytes.is_empty() {
            places.extend(lengths.drain(..).map(|_| None));
            return Ok(());
        }
        self.make_writable()?;
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        if let Err(error) = append(self.files.as_mut(), bytes) {
            let _ = self.files.cut(last.bytes);
            self.close();
            return Err(error);
        }
        self.unsynced = true;
        for length in lengths.drain(..) {
            last.bytes += length.unwrap_or_default() as u64;
            last.unread += usize::from(length.is_some());
            places.push(length.map(|_| Place { segment: last.number, end: last.bytes }));
        }
        bytes.clear();
        Ok(())
    }

    /// The last record that was written is in memory too; so are all before it.
    pub fn keeps(&mut self, place: Place) {
        if let Some(segment) = self.segments.iter_mut().find(|s| s.number == place.segment) {
            segment.unread = segment.unread.saturating_sub(1);
            segment.ahead += 1;
            segment.from = place.end;
        }
    }

    /// Opens a segment to write to, unless one is open that takes more.
    ///
    /// # Errors
    /// Why there is none.
    pub fn make_writable(&mut self) -> io::Result<()> {
        if let Some(last) = self.segments.back()
            && self.writing
        {
            if last.bytes < ENOUGH as u64 && last.since.age() < OLD {
                return Ok(());
            }
            self.sync_as_wanted(true)?;
            self.close();
        }
        let number = self.next;
        self.next = number.saturating_add(1);
        self.files.create(number)?;
        let head = segment::head(SystemTime::now());
        if let Err(error) = append(self.files.as_mut(), &head) {
            let _ = self.files.remove(number);
            return Err(error);
        }
        self.writing = true;
        let (bytes, since) = (head.len() as u64, Since::now());
        let (unread, from, ahead) = (0, bytes, 0);
        self.segments.push_back(Segment { number, bytes, since, unread, from, ahead });
        Ok(())
    }

    /// Nothing more is written to the last segment.
    fn close(&mut self) {
        self.writing = false;
        self.unsynced = false;
        self.tidy();
    }

    /// Makes sure of what was written, where that is wanted; at a settling, or each second.
    ///
    /// # Errors
    /// As fdatasync(2). What was written may be lost with the power then, and is not written to further.
    pub fn sync_as_wanted(&mut self, each_second: bool) -> io::Result<()> {
        let wanted = match self.limits.fsync {
            Fsync::Always => true,
            Fsync::Interval => each_second,
            Fsync::Never => false,
        };
        if !wanted || !self.unsynced {
            return Ok(());
        }
        self.unsynced = false;
        self.files.sync().inspect_err(|_| self.close())
    }

    /// Whether something is to be made sure of within a second.
    #[must_use]
    pub fn is_unsynced(&self) -> bool {
        self.unsynced && self.limits.fsync == Fsync::Interval
    }
}

fn append(files: &mut dyn Files, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match files.append(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.sync_as_wanted(true);
        self.close();
    }
}

mod ends;
