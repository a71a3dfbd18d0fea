//! Writing a capture, beside the pipeline and never in its way: entries are gathered in memory and
//! written by a thread that is there from the start. What it does not keep up with is lost, counted,
//! and told in the file.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rustc_hash::FxHashSet;
use thiserror::Error;

use super::{Entry, Moment, Preamble, entry, head};
use crate::{
    event::{BootNs, Event},
    frame,
    kernel::capability,
    metrics::Metrics,
    supervise::{End, Part, Supervisor, Thread, Turns, heartbeat::Heartbeat},
};

/// Entries are handed over when they take this much (bytes), or at the next tick.
const BATCH: usize = 32 * 1024;
/// Batches that may wait for the thread.
const QUEUE: usize = 16;
/// Cgroups whose paths are known to be in the file; then some are told again.
const MOST_TOLD: usize = 4_096;
/// What is kept free for the last entries (bytes).
const FOR_THE_END: u64 = 64;
/// How long the end waits for what is still to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often it looks.
const POLL: Duration = Duration::from_millis(5);

/// The thread that writes. A file can keep it waiting, and the agent does without.
const PART: Part = Part {
    name: "capture",
    end: End::Any,
    help: "the capture ends here: start nodeprobe again with another file",
    turns: Some(Turns { within: Duration::from_secs(60), vital: false }),
};

/// Why nothing can be captured.
#[derive(Debug, Error)]
pub enum WriteError {
    #[error("{0} exists already, and a capture never overwrites; choose another file")]
    Exists(PathBuf),
    #[error("cannot write the capture {file}: {source}")]
    Write { file: PathBuf, source: io::Error },
    #[error("cannot start the thread that writes the capture: {0}")]
    Thread(#[source] io::Error),
}

/// What became of entries, as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Captured {
    Written,
    /// The thread was behind.
    Dropped,
    /// The file has the size it may have.
    OverLimit,
    /// The file could not be written to.
    Failed,
}

impl Captured {
    /// Every label.
    pub const LABELS: [&'static str; 4] = ["written", "dropped", "over_limit", "failed"];

    /// It as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Written => Self::LABELS[0],
            Self::Dropped => Self::LABELS[1],
            Self::OverLimit => Self::LABELS[2],
            Self::Failed => Self::LABELS[3],
        }
    }
}

/// Entries on their way to the file.
#[derive(Default)]
struct Batch {
    frames: Vec<u8>,
    entries: u64,
    /// How many before them were lost, as its first frame says.
    lost: u64,
}

impl Batch {
    fn push(&mut self, entry: &Entry<'_>) -> bool {
        let fits = frame::append(&mut self.frames, |to| entry.append(to));
        self.entries += u64::from(fits);
        fits
    }
}

/// The near end of a capture. When it goes, the file is finished.
pub struct Recorder {
    batch: Batch,
    /// Entries that found no room since the last that did.
    lost: u64,
    told: FxHashSet<u64>,
    queue: Option<SyncSender<Batch>>,
    writer: Thread,
    metrics: Arc<Metrics>,
}

impl Recorder {
    /// Makes the file, of at most `limit` bytes, and the thread.
    ///
    /// # Errors
    /// [`WriteError`] when there is such a file, or it cannot be made.
    pub fn start(
        path: &Path,
        limit: u64,
        preamble: &Preamble,
        metrics: Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<Self, WriteError> {
        let cannot = |source| WriteError::Write { file: path.into(), source };
        // The names in it are nobody else's business.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists(path.into()),
            _ => cannot(error),
        })?;
        let head = head(preamble);
        file.write_all(&head).map_err(cannot)?;
        let left = limit.saturating_sub(head.len() as u64 + FOR_THE_END);
        let mut writer = Writer { file, path: path.into(), left, metrics: Arc::clone(&metrics) };
        let (queue, batches) = sync_channel(QUEUE);
        let writer = supervisor.thread(PART, 128 * 1024, move |beat| writer.work(&batches, beat));
        let writer = writer.map_err(WriteError::Thread)?;
        Ok(Self {
            batch: Batch::default(),
            lost: 0,
            told: FxHashSet::default(),
            queue: Some(queue),
            writer,
            metrics,
        })
    }

    /// Takes a record of the kernel side.
    pub fn record(&mut self, bytes: &[u8]) {
        self.push(&Entry::Record(bytes));
    }

    /// Takes a record of what was there before the hooks.
    pub fn seed(&mut self, bytes: &[u8]) {
        self.push(&Entry::Seed(bytes));
    }

    /// Takes what a poller saw.
    pub fn fact(&mut self, event: &Event) {
        self.push(&Entry::Fact(Cow::Borrowed(event)));
    }

    /// Takes the time, and hands over what there is.
    pub fn tick(&mut self, now: BootNs) {
        self.push(&Entry::Tick(Moment::now(now)));
        self.hand_over();
    }

    /// Whether the path of a cgroup is still to be told.
    #[must_use]
    pub fn wants(&self, cgroup: u64) -> bool {
        !self.told.contains(&cgroup)
    }

    /// Takes the path of a cgroup.
    pub fn cgroup(&mut self, id: u64, path: &str) {
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        self.told.insert(id);
        self.push(&Entry::Cgroup { id, path: Cow::Borrowed(path) });
    }

    fn push(&mut self, entry: &Entry<'_>) {
        if self.batch.entries == 0 && self.lost > 0 {
            self.batch.lost = std::mem::take(&mut self.lost);
            let lost = Entry::Lost(self.batch.lost);
            frame::append(&mut self.batch.frames, |to| lost.append(to));
        }
        if !self.batch.push(entry) {
            self.lose(1);
        }
        if self.batch.frames.len() >= BATCH {
            self.hand_over();
        }
    }

    /// Hands the batch to the thread. When that is behind, a small batch goes on growing.
    fn hand_over(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let Some(Err(refused)) = self.queue.as_ref().map(|queue| queue.try_send(batch)) else {
            return;
        };
        let (TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = refused;
        if batch.frames.len() < BATCH {
            self.batch = batch;
        } else {
            self.lost += batch.lost;
            self.lose(batch.entries);
        }
    }

    fn lose(&mut self, entries: u64) {
        self.lost += entries;
        self.metrics.captured(Captured::Dropped, entries);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        self.hand_over();
        while self.batch.entries > 0 && Instant::now() < deadline {
            thread::sleep(POLL);
            self.hand_over();
        }
        self.queue = None;
        while !self.writer.is_finished() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }
}

/// The thread's side.
struct Writer {
    file: File,
    path: PathBuf,
    /// Bytes the file may still grow by.
    left: u64,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Writes until there is no more to come. What comes when the file is full or broken is counted.
    fn work(&mut self, batches: &Receiver<Batch>, beat: &Heartbeat) -> io::Result<()> {
        capability::give_up_in_sink()?;
        let beyond = self.write_all(batches, beat);
        beat.rest();
        for batch in batches {
            self.metrics.captured(beyond, batch.entries);
        }
        Ok(())
    }

    /// Returns what becomes of what comes after the file's end.
    fn write_all(&mut self, batches: &Receiver<Batch>, beat: &Heartbeat) -> Captured {
        beat.rest();
        for batch in batches {
            beat.turn();
            let fits = self.left.checked_sub(batch.frames.len() as u64);
            let Some(left) = fits else {
                log::warn!(
                    "the capture {} has the size it may have; what comes now is not in it",
                    self.path.display()
                );
                self.metrics.captured(Captured::OverLimit, batch.entries);
                self.end(entry::End::Limit);
                return Captured::OverLimit;
            };
            self.left = left;
            if let Err(error) = self.file.write_all(&batch.frames) {
                log::warn!(
                    "the capture {} ends here, it cannot be written: {error}",
                    self.path.display()
                );
                self.metrics.captured(Captured::Failed, batch.entries);
                return Captured::Failed;
            }
            self.metrics.captured(Captured::Written, batch.entries);
            beat.rest();
        }
        self.end(entry::End::Agent);
        Captured::Written
    }

    fn end(&mut self, end: entry::End) {
        let mut last = Vec::new();
        frame::append(&mut last, |to| Entry::End(end).append(to));
        if let Err(error) = self.file.write_all(&last) {
            log::warn!("the capture {} has no end: {error}", self.path.display());
        }
    }
}
