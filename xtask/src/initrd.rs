//! Writing initial RAM disks: cpio archives, which the kernel unpacks one after another.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result};
use cpio::newc;

const DIRECTORY: u32 = 0o040_755;
const LINK: u32 = 0o120_777;
const FILE: u32 = 0o100_000;

/// One cpio archive being written; all of it belongs to root.
pub struct Archive {
    out: BufWriter<File>,
    dirs: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    /// Begins an archive in a new file.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { out: BufWriter::new(file), dirs: BTreeSet::new(), inode: 0 })
    }

    /// Adds a file with its bytes and permission bits.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> Result<()> {
        self.parents(path)?;
        self.put(path, FILE | (permissions & 0o7777), content)
    }

    /// Adds a copy of a file of this machine.
    pub fn copy(&mut self, path: &str, permissions: u32, from: &Path) -> Result<()> {
        let content =
            std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(path, permissions, &content)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) -> Result<()> {
        self.parents(path)?;
        self.put(path, LINK, to.as_bytes())
    }

    /// Adds a directory and those it is in.
    pub fn directory(&mut self, path: &str) -> Result<()> {
        if path.is_empty() || !self.dirs.insert(path.to_owned()) {
            return Ok(());
        }
        self.parents(path)?;
        self.put(path, DIRECTORY, &[])
    }

    /// Ends the archive, padded so that another may follow.
    pub fn finish(mut self) -> Result<()> {
        newc::trailer(&mut self.out)?;
        let mut file = self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let odd = usize::try_from(file.metadata()?.len() % 4)?;
        file.write_all(&[0; 4][..(4 - odd) % 4])?;
        Ok(())
    }

    fn parents(&mut self, path: &str) -> Result<()> {
        path.rsplit_once('/').map_or(Ok(()), |(parent, _)| self.directory(parent))
    }

    fn put(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.inode += 1;
        let entry = newc::Builder::new(path).ino(self.inode).nlink(1).mode(mode);
        let mut writer = entry.write(&mut self.out, u32::try_from(content.len())?);
        writer.write_all(content)?;
        writer.finish()?;
        Ok(())
    }
}

/// Joins archives into one file.
pub fn concatenate(parts: &[&Path], to: &Path) -> Result<()> {
    let mut out = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    for part in parts {
        let mut part =
            File::open(part).with_context(|| format!("cannot read {}", part.display()))?;
        std::io::copy(&mut part, &mut out)?;
    }
    Ok(())
}
