//! Whole findings onto something that fails for a while: a full disk, a broken one, a reader that
//! takes nothing. The finding in hand is kept and tried again; those behind it wait in the queue.

use std::{
    io,
    time::{Duration, Instant},
};

use super::Inlet;

/// Pause after the first failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// From this pause on, or after a write that took as long, it is said: what passes sooner is a reader
/// that is slow.
const WORTH_A_WORD: Duration = Duration::from_secs(1);

/// Where bytes go.
pub trait Out {
    /// Writes some of them.
    ///
    /// # Errors
    /// As write(2).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Length (bytes) of what is a regular file.
    fn length(&self) -> Option<u64>;

    /// Waits before another try.
    fn rest(&mut self, pause: Duration);
}

/// Why a write failed that may work again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(&'static str);

impl Reason {
    /// Every label.
    pub const LABELS: [&'static str; 5] = ["no_space", "io", "busy", "too_large", "other"];

    /// `None` for what does not pass: a reader that is gone, an fd that is none.
    fn of(error: &io::Error) -> Option<Self> {
        Some(Self(match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Self::LABELS[0],
            Some(libc::EIO) => Self::LABELS[1],
            Some(libc::EAGAIN) => Self::LABELS[2],
            Some(libc::EFBIG) => Self::LABELS[3],
            Some(libc::ENOMEM | libc::ENOBUFS | libc::EROFS | libc::ESTALE | libc::ETIMEDOUT) => {
                Self::LABELS[4]
            }
            None if error.kind() == io::ErrorKind::WriteZero => Self::LABELS[4],
            _ => return None,
        }))
    }

    /// The reason as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        self.0
    }
}

/// A time in which nothing could be written.
struct Episode {
    began: Instant,
    told: bool,
}

/// A writer that does not give up.
pub struct Persistent<O> {
    out: O,
    episode: Option<Episode>,
}

impl<O: Out> Persistent<O> {
    /// Writes to `out`.
    pub fn new(out: O) -> Self {
        Self { out, episode: None }
    }

    /// Writes a finding, however long it takes, and never a part of it twice: a reader of lines sees
    /// whole lines. `inlet` is where it came from, and counts failures.
    ///
    /// # Errors
    /// One that will not pass.
    pub fn write(&mut self, finding: &[u8], inlet: &Inlet) -> io::Result<()> {
        let (mut done, mut pause) = (0, FIRST_PAUSE);
        while let Some(rest) = finding.get(done..).filter(|rest| !rest.is_empty()) {
            let began = Instant::now();
            let error = match self.out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    done += written;
                    self.took(began);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let Some(reason) = Reason::of(&error) else { return Err(error) };
            inlet.failed(reason);
            self.failed(&error, pause, inlet);
            let length = self.out.length();
            self.out.rest(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Whoever made room by truncating the file took the beginning of the line with it.
            if self.out.length() < length {
                done = 0;
            }
        }
        self.works_again(inlet);
        inlet.written();
        Ok(())
    }

    fn failed(&mut self, error: &io::Error, pause: Duration, inlet: &Inlet) {
        let now = Instant::now();
        let episode = self.episode.get_or_insert(Episode { began: now, told: false });
        if pause >= WORTH_A_WORD && !episode.told {
            episode.told = true;
            let (name, waiting) = (inlet.name(), inlet.waiting());
            log::warn!("{name}: {error}: {waiting} findings wait and are written when that passes");
        }
    }

    /// A write that blocked is an episode that is over.
    fn took(&mut self, began: Instant) {
        if self.episode.is_none() && began.elapsed() >= WORTH_A_WORD {
            self.episode = Some(Episode { began, told: true });
        }
    }

    fn works_again(&mut self, inlet: &Inlet) {
        let Some(Episode { began, told: true }) = self.episode.take() else { return };
        let (name, seconds) = (inlet.name(), began.elapsed().as_secs());
        let (waited, lost) = (inlet.waiting(), inlet.lost());
        log::info!(
            "{name}: writing again after {seconds} s; {waited} findings waited, {lost} lost"
        );
    }
}

#[cfg(test)]
mod tests;
