//! What is said and counted of a spool: trouble once when it begins and once when it is over.

use std::{io, path::PathBuf, time::Duration};

use super::{
    files::SpoolError,
    segment::{Damage, How},
};
use crate::metrics::spool::SpoolMeters;

/// Places of damage in one file that get a line each.
const LINES: usize = 3;

/// Tells of one sink's spool.
pub struct Teller {
    sink: &'static str,
    dir: PathBuf,
    meters: SpoolMeters,
    /// Trouble that goes on, in words.
    failing: Option<String>,
    cursor_fails: bool,
    /// Records given up since it was last empty.
    expired: usize,
}

impl Teller {
    /// Of the sink called `sink`.
    #[must_use]
    pub fn new(sink: &'static str, dir: PathBuf, meters: SpoolMeters) -> Self {
        Self { sink, dir, meters, failing: None, cursor_fails: false, expired: 0 }
    }

    /// A file that is not, or not wholly, records.
    pub fn damaged(&self, file: &str, damage: &[Damage]) {
        for (index, Damage { at, bytes, how }) in damage.iter().enumerate() {
            self.meters.damaged(*how, *bytes);
            if index < LINES {
                let what = match how {
                    How::CutShort => "ends within a record, as after a kill or a loss of power",
                    How::Corrupt => "is corrupt",
                };
                self.warn(&format!("{file}: {what}: {bytes} bytes at offset {at} are skipped"));
            }
        }
        if damage.len() > LINES {
            self.warn(&format!("{file}: {} places in it are corrupt", damage.len()));
        }
    }

    /// A file that cannot be read at all.
    pub fn unreadable(&self, file: &str, error: &io::Error) {
        self.meters.damaged(How::Corrupt, 0);
        self.warn(&format!("{file} cannot be read and is skipped: {error}"));
    }

    /// A file of another format.
    pub fn foreign(&self, file: &str) {
        self.meters.damaged(How::Corrupt, 0);
        self.warn(&format!("{file} was written by another nodeprobe; it is left as it is"));
    }

    /// Nobody knows how far the other side has it.
    pub fn cursor_is_damaged(&self) {
        self.meters.damaged(How::Corrupt, 0);
        self.warn("the cursor is corrupt: what is in the spool is sent again");
    }

    /// The cursor could not be written.
    pub fn cursor_failed(&mut self, error: &io::Error) {
        self.meters.failures.inc();
        if !std::mem::replace(&mut self.cursor_fails, true) {
            self.warn(&format!(
                "the cursor cannot be written ({error}): what was sent may be again"
            ));
        }
    }

    /// It cannot be used for now.
    pub fn failed(&mut self, error: &SpoolError) {
        self.meters.failures.inc();
        self.meters.usable.set(0);
        let words = error.to_string();
        if self.failing.as_ref() != Some(&words) {
            let level = match error {
                SpoolError::Leaving { .. } => log::Level::Info,
                _ => log::Level::Warn,
            };
            let sink = self.sink;
            log::log!(level, "{sink}: {words}; until then findings wait in memory only");
            self.failing = Some(words);
        }
    }

    /// It can be used.
    pub fn works(&mut self) {
        self.meters.usable.set(1);
        if self.failing.take().is_some() {
            log::info!("{}: spool {}: works again", self.sink, self.dir.display());
        }
    }

    /// Why it cannot be used now.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.failing.as_deref()
    }

    /// Records were given up for want of room or for their age.
    pub fn expired(&mut self, records: usize) {
        if records > 0 && self.expired == 0 {
            self.warn("it is full, or what waits is too old: the oldest are given up");
        }
        self.expired += records;
    }

    /// What waits now.
    pub fn levels(&mut self, records: usize, bytes: u64, oldest: Duration) {
        self.meters.levels(records, bytes, oldest);
        if records == 0 && self.expired > 0 {
            log::info!("{}: spool: all is handed over; {} were given up", self.sink, self.expired);
            self.expired = 0;
        }
    }

    /// A record that is longer than any frame.
    pub fn too_long(&self, id: &str) {
        self.warn(&format!("{id} is longer than 1 MiB: it is given up"));
    }

    fn warn(&self, words: &str) {
        log::warn!("{}: spool {}: {words}", self.sink, self.dir.display());
    }
}
