//! Datagrams to a unix socket, for as long as anybody is there to read them.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::net::UnixDatagram;

use crate::sinks::backend::{Answer, Reason};

/// A socket of somebody else.
pub struct Local {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Local {
    /// At `path`; whether anybody is there is not asked yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), socket: None }
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
                Err(error) if is_gone(&error) => {}
                done => {
                    self.socket = Some(socket);
                    return done;
                }
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        let done = work(&socket).await;
        self.socket = Some(socket);
        done
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

/// Whether whoever read the socket reads it no longer.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ECONNREFUSED | libc::ECONNRESET | libc::ENOTCONN | libc::EPIPE)
    )
}
