//! Records that a backend will never take: kept apart, so that they block nobody and somebody can look
//! at them. A line each, beside the spool of the sink.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::record::Record;
use crate::{metrics::Metrics, text};

/// From this size on (bytes) the file makes room for a new one; there is one older at most.
const ENOUGH: u64 = 8 * 1024 * 1024;
/// Longest reason that is kept (characters): it is the word of the other side.
const LONGEST_REASON: usize = 1_024;
/// Longest reason in the log (characters).
const LONGEST_SAID: usize = 200;
/// Time between two lines in the log.
const PAUSE: Duration = Duration::from_secs(60);

/// Where refused records end.
pub struct Dead {
    sink: &'static str,
    /// `None` where there is no spool: they are only counted, and said.
    file: Option<PathBuf>,
    metrics: Arc<Metrics>,
    /// When it was last said.
    said: Option<Instant>,
    /// Those that were not.
    unsaid: usize,
}

/// A line, but for the record itself.
#[derive(Serialize)]
struct Letter<'a> {
    time: Timestamp,
    sink: &'a str,
    reason: &'a str,
    id: &'a str,
}

impl Dead {
    /// Of the sink called `sink`, whose spool is in `dir`.
    pub fn new(sink: &'static str, dir: Option<&Path>, metrics: &Arc<Metrics>) -> Self {
        let file = dir.map(|dir| dir.join("dead.jsonl"));
        Self { sink, file, metrics: Arc::clone(metrics), said: None, unsaid: 0 }
    }

    /// Takes a record that was refused. It never fails: what cannot be written is counted as lost.
    pub fn bury(&mut self, record: &Record, why: &str) {
        let kept = match &self.file {
            Some(file) => write(file, &self.letter(record, why)).map(|()| Some(file)),
            None => Ok(None),
        };
        let outcome = if matches!(kept, Ok(Some(_))) { "kept" } else { "lost" };
        self.metrics.spool.dead.with_label_values(&[self.sink, outcome]).inc();
        if self.said.is_some_and(|said| said.elapsed() < PAUSE) {
            self.unsaid += 1;
            return;
        }
        let more = match std::mem::take(&mut self.unsaid) {
            0 => String::new(),
            more => format!(" ({more} more since it was last said)"),
        };
        let fate = match kept {
            Ok(Some(file)) => format!("it is kept in {}", file.display()),
            Ok(None) => "it is lost, as this sink has no spool".into(),
            Err(error) => format!("it is lost, as it cannot be kept: {error}"),
        };
        let (sink, id, why) =
            (self.sink, &record.meta.id, text::cut(why, LONGEST_SAID).escape_debug());
        log::warn!("{sink}: refused {id} for good: {why}; {fate}{more}");
        self.said = Some(Instant::now());
    }

    fn letter(&self, record: &Record, why: &str) -> String {
        let (reason, id) = (text::cut(why, LONGEST_REASON), record.meta.id.as_str());
        let letter = Letter { time: Timestamp::now(), sink: self.sink, reason, id };
        // It has strings only, which is no reason for serialization to fail.
        let letter = text::json(&letter).unwrap_or_default();
        let head = letter.strip_suffix('}').unwrap_or("{");
        format!("{head},\"record\":{}}}\n", record.json())
    }
}

fn write(path: &Path, letter: &str) -> io::Result<()> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    if length > 0 && length + letter.len() as u64 > ENOUGH {
        let mut older = path.as_os_str().to_owned();
        older.push(".1");
        fs::rename(path, older)?;
        file = open(path)?;
    }
    let before = file.metadata()?.len();
    file.write_all(letter.as_bytes()).inspect_err(|_| {
        // No line that is half there.
        let _ = file.set_len(before);
    })
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(path)
}

#[cfg(test)]
mod tests;
