//! Records as lines of JSON in a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Backend,
    backend::{Answer, Sending},
    lines::{self, Lines, Out},
    record::Record,
};

pub mod config;

/// The file.
pub struct FileBackend {
    path: PathBuf,
    lines: Lines<Appended>,
}

impl FileBackend {
    /// Opens the file, to be appended to.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path: path.into(), lines: Lines::new(Appended(file)) })
    }
}

impl Backend for FileBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let mut answer = Answer::taken();
            for record in batch {
                answer = self.lines.write(format!("{}\n", record.json()).as_bytes());
            }
            answer
        })
    }

    fn reopen(&mut self) {
        match open(&self.path) {
            Ok(file) => self.lines.replace(Appended(file)),
            // What is open still takes lines.
            Err(error) => log::warn!("{}: {error}", self.path.display()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

struct Appended(File);

impl Out for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn length(&self) -> Option<u64> {
        lines::length(&self.0)
    }
}
