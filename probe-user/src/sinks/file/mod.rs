//! Records as lines of JSON in a file that is rotated.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::{
    Backend,
    backend::{Answer, Reason, Sending},
    lines::{self, Lines, Out},
    record::Record,
};

pub mod config;
pub mod encode;
mod gzip;
mod rotated;

use config::{FileConfig, Mode};
use rotated::Rotated;

/// After a rotation that failed, the file goes on growing for so long before it is tried again.
const UNTIL_NEXT_TRY: Duration = Duration::from_secs(60);

/// The file.
pub struct FileBackend {
    config: FileConfig,
    rotated: Rotated,
    /// `None` until a file that cannot be opened for now can be.
    lines: Option<Lines<Appended>>,
    /// When a rotation failed, if the last one did.
    failed: Option<Instant>,
    until_next_try: Duration,
    gzip: Option<JoinHandle<()>>,
    /// Whether what an agent before left was looked after.
    looked_after: bool,
}

impl FileBackend {
    /// Opens the file, to be appended to.
    ///
    /// # Errors
    /// Why it never can be. What passes, such as a full disk, is waited out later.
    pub fn open(config: FileConfig) -> Result<Self, String> {
        let path = config.path.display();
        let rotated = Rotated::of(&config.path);
        let rotated = rotated.ok_or_else(|| format!("path: {path} is not the path of a file"))?;
        let lines = match open(&config) {
            Ok(lines) => Some(lines),
            Err(error) if lines::passing(&error).is_some() => {
                log::warn!("{path}: {error}: tried again with the first record");
                None
            }
            Err(error) => return Err(format!("path: {path}: {error}")),
        };
        let (failed, until_next_try, gzip) = (None, UNTIL_NEXT_TRY, None);
        Ok(Self { config, rotated, lines, failed, until_next_try, gzip, looked_after: false })
    }

    fn write(&mut self, record: &Record) -> Answer {
        let line = encode::line(record);
        self.make_way(line.len() as u64);
        let lines = match self.lines.take() {
            Some(lines) => lines,
            None => match open(&self.config) {
                Ok(lines) => lines,
                Err(error) => {
                    let reason = lines::passing(&error).unwrap_or(Reason::Io);
                    return Answer::later(reason, error.to_string());
                }
            },
        };
        self.lines.insert(lines).write(&line)
    }

    /// Rotates the file if it is time to, before a line of so many bytes.
    fn make_way(&mut self, bytes: u64) {
        if !self.looked_after {
            self.looked_after = true;
            self.look_after_rotated();
        }
        let Some(lines) = self.lines.as_ref().filter(|lines| !lines.is_torn()) else { return };
        let file = &lines.out().0;
        let Some(metadata) = file.metadata().ok().filter(|metadata| metadata.is_file()) else {
            return;
        };
        if metadata.nlink() == 0 {
            log::warn!("{}: it was deleted; it is made again", self.config.path.display());
            return self.reopen();
        }
        let limit = (self.config.rotate_mib as u64) << 20;
        let large = limit > 0 && metadata.len() + bytes > limit;
        let age = metadata.created().ok().and_then(|created| created.elapsed().ok());
        let old =
            self.config.rotate_after.zip(age).is_some_and(|(most, age)| age > most.duration());
        let tried = self.failed.is_some_and(|failed| failed.elapsed() < self.until_next_try);
        if metadata.len() == 0 || !(large || old) || tried {
            return;
        }
        match self.rotate((metadata.dev(), metadata.ino())) {
            Ok(lines) => {
                self.lines = Some(lines);
                self.failed = None;
                self.look_after_rotated();
            }
            Err(error) => {
                let path = self.config.path.display();
                log::warn!("{path}: not rotated: {error}: it goes on growing for now");
                self.failed = Some(Instant::now());
            }
        }
    }

    /// Moves the file away and opens a new one. Where that fails all is as before.
    fn rotate(&self, open_one: (u64, u64)) -> io::Result<Lines<Appended>> {
        let path = &self.config.path;
        let there = fs::metadata(path).map(|there| (there.dev(), there.ino()));
        // Where somebody else moved it away, that was the rotation.
        if there.is_ok_and(|there| there == open_one) {
            let away = self.rotated.next(Timestamp::now())?;
            fs::rename(path, &away)?;
            return open(&self.config).inspect_err(|_| {
                if let Err(error) = fs::rename(&away, path) {
                    log::warn!("{}: lines go there for now: {error}", away.display());
                }
            });
        }
        open(&self.config)
    }

    /// Removes rotated files that are too many, and has the others compressed.
    fn look_after_rotated(&mut self) {
        if let Err(error) = self.rotated.prune(self.config.keep) {
            let path = self.config.path.display();
            log::warn!("{path}: old rotated files are not removed: {error}");
        }
        let idle = self.gzip.as_ref().is_none_or(JoinHandle::is_finished);
        if self.config.gzip && idle {
            self.gzip = Some(tokio::spawn(gzip::all(self.rotated.clone(), self.config.mode)));
        }
    }
}

impl Backend for FileBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(Answer::one_by_one(batch, async |record| self.write(record)))
    }

    fn reopen(&mut self) {
        match open(&self.config) {
            Ok(lines) => self.lines = Some(lines),
            // What is open still takes lines.
            Err(error) => log::warn!("{}: {error}", self.config.path.display()),
        }
    }
}

/// Opens the file, and makes it and the directories above it where they are not there.
fn open(config: &FileConfig) -> io::Result<Lines<Appended>> {
    let path = &config.path;
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o750).create(parent)?;
    }
    let open_end = lines::ends_open(path);
    // A pipe without a reader is an error, nothing to wait for.
    let file = made(config.mode).append(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    Ok(Lines::new(Appended(file), open_end))
}

/// Opens a file, or makes it with these permissions.
fn made(mode: Mode) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).mode(mode.bits());
    options
}

/// A file that is only appended to.
struct Appended(File);

impl Out for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn length(&self) -> Option<u64> {
        lines::length(&self.0)
    }
}

#[cfg(test)]
mod tests;
