//! Small files that others replace while the agent runs: tokens, passwords, keys.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::scarce;

/// Longest such file (bytes): a chain of certificates has some thousand, all of the Mozilla roots together
/// have a quarter of this.
const LONGEST: u64 = 1024 * 1024;

/// What tells one state of a file from the next. Following symlinks: a Kubernetes volume is changed by
/// turning one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    /// When it was written last (s, ns).
    written: (i64, i64),
    length: u64,
}

impl Stamp {
    /// Of the file at `path`; `None` when there is none.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&Metadata> for Stamp {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            written: (file.mtime(), file.mtime_nsec()),
            length: file.len(),
        }
    }
}

/// A file whose first line is a secret, read again when it is another one.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    stamp: Option<Stamp>,
    line: super::Secret,
}

impl Watched {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// The path, and why it cannot be read or what is wrong with what it holds.
    pub fn open(path: &Path) -> Result<Self, String> {
        let (stamp, line) = line(path)?;
        Ok(Self { path: path.into(), stamp: Some(stamp), line })
    }

    /// What it holds now. Where that cannot be read, what it held before: whoever replaces a file may be
    /// in the middle of it, and the node may be out of fds.
    pub fn line(&mut self) -> &super::Secret {
        let now = Stamp::of(&self.path);
        if now != self.stamp {
            match line(&self.path) {
                Ok((stamp, line)) => (self.stamp, self.line) = (Some(stamp), line),
                // Once for each state: that of the file is remembered, not what it holds.
                Err(why) => {
                    log::warn!("{why}; what it held before is used on");
                    self.stamp = now;
                }
            }
        }
        &self.line
    }
}

fn line(path: &Path) -> Result<(Stamp, super::Secret), String> {
    let (stamp, text) = text(path)?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Err(format!(
            "{}: its first line is empty; it must hold the secret",
            path.display()
        ));
    }
    Ok((stamp, super::Secret::new(line)))
}

/// All of a small file, and which state of it that is.
///
/// # Errors
/// The path, and why it cannot be read.
pub fn text(path: &Path) -> Result<(Stamp, String), String> {
    let read = || -> io::Result<_> {
        let file = scarce::noted(File::open(path))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if metadata.len() > LONGEST {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        Ok((Stamp::from(&metadata), text))
    };
    read().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_when_it_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let replace = |text: &str| {
            let new = dir.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, &path).unwrap();
        };
        assert!(Watched::open(&path).unwrap_err().contains("/token: No such file"));
        replace("\n");
        assert!(Watched::open(&path).unwrap_err().contains("first line is empty"));
        replace("first\n");
        let mut token = Watched::open(&path).unwrap();
        assert_eq!(token.line().reveal(), "first");
        replace("other\nno part of it\n");
        assert_eq!(token.line().reveal(), "other");
        replace("");
        assert_eq!(token.line().reveal(), "other", "an empty one is being written");
        fs::remove_file(&path).unwrap();
        assert_eq!(token.line().reveal(), "other");
        replace("third");
        assert_eq!(token.line().reveal(), "third");
        assert!(!format!("{token:?}").contains("third"));
    }

    #[test]
    fn what_is_no_small_file_is_not_read() {
        assert!(text(Path::new("/")).unwrap_err().contains("no regular file"));
        assert!(text(Path::new("/dev/zero")).unwrap_err().contains("no regular file"));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        File::create(&path).unwrap().set_len(LONGEST + 1).unwrap();
        assert!(text(&path).unwrap_err().contains("larger than 1 MiB"));
    }
}
