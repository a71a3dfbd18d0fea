//! Whole lines onto something that fails for a while: a full disk, a broken one, a reader that takes
//! nothing. What was written of a line is remembered, so that a later try completes it.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::backend::{Answer, Reason};

/// Where bytes go.
pub trait Out: Send {
    /// Writes some of them.
    ///
    /// # Errors
    /// As write(2).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Length (bytes) of what is a regular file.
    fn length(&self) -> Option<u64>;
}

/// Length (bytes) of a regular file.
#[must_use]
pub fn length(file: &File) -> Option<u64> {
    let file = file.metadata().ok().filter(|metadata| metadata.is_file())?;
    Some(file.len())
}

/// Whether the last line of a regular file has no end, as an agent leaves it that was killed while it
/// wrote: what comes next is to be a line of its own.
#[must_use]
pub fn ends_open(path: &Path) -> bool {
    let last = || {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Ok([b'\n']);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        io::Result::Ok(last)
    };
    last().is_ok_and(|last| last != [b'\n'])
}

/// A line of which a part is written.
struct Torn {
    line: Vec<u8>,
    done: usize,
    /// Length of the file when it failed.
    length: Option<u64>,
}

/// A writer that never leaves half a line behind for good.
pub struct Lines<O> {
    out: O,
    torn: Option<Torn>,
    /// Whether what stands there has to be closed by a newline before anything else.
    open_end: bool,
}

impl<O: Out> Lines<O> {
    /// Writes to `out`, after a newline if what stands there has an open end.
    pub fn new(out: O, open_end: bool) -> Self {
        Self { out, torn: None, open_end }
    }

    /// What it is written to.
    pub fn out(&self) -> &O {
        &self.out
    }

    /// Whether a part of a line stands there, and the rest is to come.
    pub fn is_torn(&self) -> bool {
        self.torn.is_some()
    }

    /// Writes a line. One that failed before is to be given again: its rest is written then.
    pub fn write(&mut self, line: &[u8]) -> Answer {
        let close: &[u8] = if self.open_end { b"\n" } else { b"" };
        let line = [close, line].concat();
        let mut done = match self.torn.take() {
            // Whoever made room by truncating the file took the beginning of the line with it.
            Some(torn) if torn.line == line && self.out.length() >= torn.length => torn.done,
            _ => 0,
        };
        while let Some(rest) = line.get(done..).filter(|rest| !rest.is_empty()) {
            let error = match self.out.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    done += written;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let Some(reason) = passing(&error) else { return Answer::Over(error.to_string()) };
            self.torn = Some(Torn { line, done, length: self.out.length() });
            return Answer::later(reason, error.to_string());
        }
        self.open_end = false;
        Answer::Taken { said: "written".into() }
    }
}

/// What kind of trouble an error of a file is; `None` for what does not pass: a reader that is gone, an fd that is
/// none.
#[must_use]
pub fn passing(error: &io::Error) -> Option<Reason> {
    Some(match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Reason::NoSpace,
        Some(libc::EIO) => Reason::Io,
        Some(libc::EAGAIN) => Reason::Busy,
        Some(libc::EFBIG) => Reason::TooLarge,
        Some(libc::ENOMEM | libc::ENOBUFS | libc::EROFS | libc::ESTALE | libc::ETIMEDOUT) => {
            Reason::Other
        }
        None if error.kind() == io::ErrorKind::WriteZero => Reason::Other,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
