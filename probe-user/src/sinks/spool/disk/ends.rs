//! How records leave the disk: read ahead, taken, or given up.

use super::{Ahead, Disk, Place, Segment, WORTH_KEEPING};
use crate::sinks::{
    spool::{files::name, segment, teller::Teller},
    store::News,
};

impl Disk {
    /// Reads the oldest segment that is not in memory, if there is one.
    pub fn read_ahead(&mut self, news: &mut News, teller: &mut Teller) -> Option<Vec<Ahead>> {
        let oldest = self.segments.iter_mut().find(|segment| segment.unread > 0)?;
        let file = name(oldest.number);
        let bytes = match self.files.read(oldest.number) {
            Ok(bytes) => bytes,
            Err(error) => {
                teller.unreadable(&file, &error);
                news.expired += oldest.unread;
                oldest.unread = 0;
                // It stays for whoever can read it, until a start finds the cursor past it.
                let number = oldest.number;
                self.segments.retain(|segment| segment.number != number);
                return Some(Vec::new());
            }
        };
        let from = usize::try_from(oldest.from).unwrap_or(usize::MAX);
        let contents = segment::read(&bytes, from);
        let (expected, there) = (oldest.unread, contents.records.len());
        if there < expected {
            // Damage of before this start was told then.
            teller.damaged(&file, &contents.damage);
        }
        news.expired += expected.saturating_sub(there);
        news.resumed += there.saturating_sub(expected);
        oldest.unread = 0;
        oldest.ahead += there;
        oldest.from = oldest.bytes;
        let (number, since) = (oldest.number, oldest.since);
        let ahead = contents.records.into_iter().map(|found| Ahead {
            record: found.record,
            place: Place { segment: number, end: found.end },
            since,
        });
        let ahead = ahead.collect();
        self.tidy();
        Some(ahead)
    }

    /// The other side has all records up to the last of `places`, or they are given up.
    pub fn acknowledge(&mut self, places: &[Place], teller: &mut Teller) {
        for place in places {
            if let Some(segment) = self.segments.iter_mut().find(|s| s.number == place.segment) {
                segment.ahead = segment.ahead.saturating_sub(1);
            }
        }
        let Some(last) = places.last() else { return };
        // If it fails they come again after the next start, which backends can tell by their ids.
        if let Err(error) = self.files.set_cursor(&last.bytes()) {
            teller.cursor_failed(&error);
        }
        self.tidy();
    }

    /// Gives up the oldest segments: those beyond the limits. Returns how many records were only there.
    pub fn expire(&mut self) -> usize {
        let mut expired = 0;
        while let Some(oldest) = self.segments.front() {
            let crowded = self.bytes() > self.limits.bytes && self.segments.len() > 1;
            if !crowded && oldest.since.age() <= self.limits.age {
                break;
            }
            expired += oldest.unread;
            self.drop_oldest();
        }
        expired
    }

    /// Deletes the segments that the other side has whole.
    pub(super) fn tidy(&mut self) {
        let done = |segment: &Segment| segment.unread == 0 && segment.ahead == 0;
        while let Some(oldest) = self.segments.front().filter(|oldest| done(oldest)) {
            let in_use = self.writing && self.segments.len() == 1;
            if in_use && oldest.bytes < WORTH_KEEPING {
                break;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if self.writing && self.segments.len() == 1 {
            self.writing = false;
            self.unsynced = false;
        }
        if let Some(oldest) = self.segments.pop_front() {
            // Where it stays, the cursor tells the next start that it is done with; or it comes again.
            let _ = self.files.remove(oldest.number);
        }
    }
}
