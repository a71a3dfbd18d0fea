//! The files of one sink's spool: a directory that one process at a time has for itself.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

use thiserror::Error;

use super::segment::MOST;

/// What all names of segments end with.
const SUFFIX: &str = ".segment";

/// Why a spool cannot be used.
#[derive(Debug, Error)]
pub enum SpoolError {
    #[error(
        "spool {dir}: {source}; make it a directory that nodeprobe can write to, or name another with `dir` of [spool]"
    )]
    Open { dir: PathBuf, source: io::Error },
    #[error(
        "spool {dir}: another nodeprobe uses it (process {by}); end that one, or give this one a directory of its own with `dir` of [spool]"
    )]
    Locked { dir: PathBuf, by: String },
    #[error("spool {dir}: the sink as it was before still hands over; it is taken when that ends")]
    Leaving { dir: PathBuf },
    #[error("spool {dir}: {source}; see to its file system: room, quota, mount options, the disk")]
    Write { dir: PathBuf, source: io::Error },
}

/// What a spool does with files. They are numbered; the higher number is the later file.
pub trait Files: Send {
    /// Numbers of the segments there are, in any order.
    ///
    /// # Errors
    /// As readdir(3).
    fn list(&mut self) -> io::Result<Vec<u64>>;

    /// All bytes of a segment.
    ///
    /// # Errors
    /// As read(2), and when it is longer than any segment.
    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>>;

    /// Makes a segment. It is the one that is written to from now on.
    ///
    /// # Errors
    /// As open(2), and when it is there.
    fn create(&mut self, segment: u64) -> io::Result<()>;

    /// Appends some of the bytes to the segment that was made last.
    ///
    /// # Errors
    /// As write(2).
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes back what was appended beyond a length (bytes).
    ///
    /// # Errors
    /// As ftruncate(2).
    fn cut(&mut self, length: u64) -> io::Result<()>;

    /// Makes sure that what was appended outlives the power.
    ///
    /// # Errors
    /// As fdatasync(2).
    fn sync(&mut self) -> io::Result<()>;

    /// Deletes a segment.
    ///
    /// # Errors
    /// As unlink(2).
    fn remove(&mut self, segment: u64) -> io::Result<()>;

    /// The bytes of the cursor; none when there never was one.
    ///
    /// # Errors
    /// As read(2).
    fn cursor(&mut self) -> io::Result<Vec<u8>>;

    /// Writes the cursor over the last: that takes no room on the disk, even a full one takes it.
    ///
    /// # Errors
    /// As write(2).
    fn set_cursor(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The directory.
pub struct Directory {
    path: PathBuf,
    itself: File,
    cursor: File,
    /// The segment that is written to.
    last: Option<File>,
    /// Whether a loss of power could still take that file's name.
    nameless: bool,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Directory {
    /// Makes the directory where it is not there, and takes it for this process.
    ///
    /// # Errors
    /// [`SpoolError`] when it cannot be written to, or another process has it.
    pub fn open(path: &Path) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Open { dir: path.into(), source };
        make(path).map_err(failed)?;
        let lock = open(&path.join("lock"), true).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(taken(path, &lock));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // For whoever finds it locked; it is locked all the same when there is no room for that.
        let _ = lock.set_len(0).and_then(|()| lock.write_all_at(own_id().as_bytes(), 0));
        let cursor = open(&path.join("cursor"), true).map_err(failed)?;
        let itself = File::open(path).map_err(failed)?;
        Ok(Self { path: path.into(), itself, cursor, last: None, nameless: false, _lock: lock })
    }

    fn segment(&self, segment: u64) -> PathBuf {
        self.path.join(name(segment))
    }

    fn last(&mut self) -> io::Result<&mut File> {
        self.last.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn own_id() -> String {
    process::id().to_string()
}

/// Tells who has a lock.
fn taken(path: &Path, lock: &File) -> SpoolError {
    let (mut by, dir) = (String::new(), path.into());
    // Who has it could write anything there.
    let _ = lock.take(10).read_to_string(&mut by);
    match by == own_id() {
        true => SpoolError::Leaving { dir },
        false => SpoolError::Locked { dir, by: by.escape_debug().to_string() },
    }
}

/// Name of the file of a segment.
#[must_use]
pub fn name(segment: u64) -> String {
    format!("{segment:016x}{SUFFIX}")
}

/// Makes a directory for nobody else to look into.
///
/// # Errors
/// As mkdir(2) and chmod(2).
pub fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Opens a file of a spool for reading and writing.
fn open(path: &Path, may_be_there: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.create(may_be_there).create_new(!may_be_there).open(path)
}

impl Files for Directory {
    fn list(&mut self) -> io::Result<Vec<u64>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            let number = number.and_then(|number| u64::from_str_radix(number, 16).ok());
            segments.extend(number.filter(|number| name == *self::name(*number)));
        }
        Ok(segments)
    }

    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        // What is no regular file, such as a FIFO, must not be waited for.
        options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let mut bytes = Vec::new();
        let file = options.open(self.segment(segment))?;
        file.take(MOST as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than any segment"));
        }
        Ok(bytes)
    }

    fn create(&mut self, segment: u64) -> io::Result<()> {
        self.last = None;
        self.last = Some(open(&self.segment(segment), false)?);
        self.nameless = true;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.last()?.write(bytes)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.last()?.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.last()?.sync_data()?;
        if self.nameless {
            self.itself.sync_all()?;
            self.nameless = false;
        }
        Ok(())
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        fs::remove_file(self.segment(segment))
    }

    fn cursor(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path.join("cursor"))?.take(64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn set_cursor(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cursor.write_all_at(bytes, 0)
    }
}
