//! Where an agent's findings go.

use std::fs::File;
use std::io::{Read, Result as IoResult};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use super::POLL;
use super::transcript::Transcript;

/// Standard output of an agent.
pub enum Output {
    /// A pipe that is read all the time.
    Pipe,
    /// A file, read as it grows.
    File(PathBuf),
}

/// The agent's end of it, and a reader where there is no pipe to read.
type Ends = (Stdio, Option<Box<dyn Read + Send>>);

impl Output {
    /// Opens it. A file is at its end when the agent is.
    pub(super) fn open(self, transcript: &Arc<Transcript>) -> Result<Ends> {
        let Self::File(path) = self else { return Ok((Stdio::piped(), None)) };
        let cannot = || format!("cannot open {}", path.display());
        let to = File::options().append(true).create(true).open(&path).with_context(cannot)?;
        let from = File::open(&path).with_context(cannot)?;
        Ok((to.into(), Some(Box::new(Growing { file: from, transcript: Arc::clone(transcript) }))))
    }
}

/// A file that ends with the agent's log, which is a pipe.
struct Growing {
    file: File,
    transcript: Arc<Transcript>,
}

impl Read for Growing {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        loop {
            // Asked before the look: what the agent wrote last is there when its log has ended.
            let last = self.transcript.closing();
            match self.file.read(into)? {
                0 if !last => thread::sleep(POLL),
                read => return Ok(read),
            }
        }
    }
}
