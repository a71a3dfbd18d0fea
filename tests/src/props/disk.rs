//! A small file system that can be full.

use std::ffi::CString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

/// A tmpfs on a directory of its own.
pub struct Disk(TempDir);

/// What takes up the rest of a [`Disk`]; given back when dropped.
pub struct Ballast(PathBuf);

impl Disk {
    /// Makes one of so many KiB.
    pub fn create(kib: u32) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
        let options = CString::new(format!("size={kib}k"))?;
        mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), Some(options.as_c_str()))
            .context("cannot mount a tmpfs")?;
        Ok(Self(directory))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes up all that is left.
    pub fn fill(&self) -> Result<Ballast> {
        const BLOCK: [u8; 4_096] = [0; 4_096];
        let ballast = Ballast(self.path().join("ballast"));
        let mut file = fs::File::create(&ballast.0).context("cannot create the ballast")?;
        loop {
            match file.write_all(&BLOCK) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(ballast),
                Err(error) => return Err(error).context("cannot fill the disk"),
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // An agent that is about to end may still have a file open there.
        if let Err(error) = unmount(self.path(), UnmountFlags::DETACH) {
            eprintln!("scenario: left behind: {}: {error}", self.path().display());
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("scenario: left behind: {}: {error}", self.0.display());
        }
    }
}
