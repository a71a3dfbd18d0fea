//! A service manager, as far as an agent can tell: a socket that is told how it goes.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::HANG_GUARD;
use crate::interrupt;

/// Listens at a path.
pub struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _dir: TempDir,
}

impl Manager {
    /// Begins to listen.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot create a temporary directory")?;
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).context("cannot listen for notifications")?;
        Ok(Self { socket, path, _dir: dir })
    }

    /// For `NOTIFY_SOCKET`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a message that begins with a line; others are passed over.
    pub fn expect(&self, line: &str) -> Result<String> {
        let deadline = Instant::now() + HANG_GUARD;
        let mut told = Vec::new();
        while Instant::now() < deadline {
            interrupt::check()?;
            match self.next(Duration::from_secs(1))? {
                Some(message) if message.lines().next() == Some(line) => return Ok(message),
                Some(message) => told.push(message),
                None => {}
            }
        }
        bail!("the service manager is not told {line}, but {told:?}")
    }

    /// All that it was told and has not looked at.
    pub fn all(&self) -> Result<Vec<String>> {
        std::iter::from_fn(|| self.next(Duration::from_millis(1)).transpose()).collect()
    }

    /// From now on only what comes anew is looked at.
    pub fn forget(&self) -> Result<()> {
        self.all().map(drop)
    }

    fn next(&self, at_most: Duration) -> Result<Option<String>> {
        let mut buffer = [0; 4_096];
        self.socket.set_read_timeout(Some(at_most))?;
        match self.socket.recv(&mut buffer) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&buffer[..bytes]).into_owned())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error).context("cannot read notifications"),
        }
    }
}
