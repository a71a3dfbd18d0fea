//! Datagrams to a unix socket, for as long as anybody is there to read them.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::net::UnixDatagram;

use super::unread;
use crate::sinks::backend::{Answer, Reason};

/// A socket of somebody else.
pub struct Local {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    unread: Unread,
}

/// What is known of the datagrams that were sent since it was last waited for their reader.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Unread {
    /// There are none.
    #[default]
    None,
    /// Their reader is still there, for all that is known.
    Some,
    /// Their reader went, and may have read none of them.
    Lost,
}

impl Local {
    /// At `path`; whether anybody is there is not asked yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), socket: None, unread: Unread::None }
    }

    /// Sends a datagram. It waits while the reader is behind.
    ///
    /// # Errors
    /// As send(2) and connect(2).
    pub async fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.with(async |socket| socket.send(datagram).await.map(drop)).await
    }

    /// Does something with the connected socket. Where its reader is gone, it is done once more with a
    /// fresh one: another may have taken its place.
    ///
    /// # Errors
    /// As `work` and connect(2).
    pub async fn with(
        &mut self,
        work: impl AsyncFn(&UnixDatagram) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(socket) = self.socket.take() {
            match work(&socket).await {
                Err(error) if is_gone(&error) => {
                    if self.unread == Unread::Some {
                        self.unread = Unread::Lost;
                    }
                }
                done => return self.sent(socket, done),
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        let done = work(&socket).await;
        self.sent(socket, done)
    }

    fn sent(&mut self, socket: UnixDatagram, done: io::Result<()>) -> io::Result<()> {
        self.socket = Some(socket);
        if done.is_ok() && self.unread == Unread::None {
            self.unread = Unread::Some;
        }
        done
    }

    /// Waits until all that was sent since the last call is read. For a reader that takes an empty datagram
    /// for nothing: it is sent one to find out whether it is still there.
    ///
    /// # Errors
    /// When the reader went before that: some of it, or all, may have been read by nobody.
    pub async fn was_read(&mut self) -> io::Result<()> {
        let unread = std::mem::take(&mut self.unread);
        let Some(socket) = self.socket.as_ref().filter(|_| unread == Unread::Some) else {
            return if unread == Unread::None { Ok(()) } else { Err(went()) };
        };
        unread::until_none(socket).await?;
        // What a reader had not read went with it, and is not to be told from what was read.
        match socket.send(&[]).await {
            Err(error) if is_gone(&error) => Err(went()),
            told => told.map(drop),
        }
    }

    /// What becomes of a record that could not be sent.
    #[must_use]
    pub fn trouble(&self, error: &io::Error) -> Answer {
        let reason = match error.raw_os_error() {
            Some(libc::EMSGSIZE) => return Answer::TooLarge(error.to_string()),
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Reason::Busy,
            _ => Reason::Connect,
        };
        let stream = "; it is a socket of streams, which unix-stream:PATH is for";
        let advice = if error.raw_os_error() == Some(libc::EPROTOTYPE) { stream } else { "" };
        Answer::later(reason, format!("{}: {error}{advice}", self.path.display()))
    }
}

fn went() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "its reader went and may not have read all")
}

/// Whether whoever read the socket reads it no longer.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOTCONN | libc::EPIPE)
    )
}
