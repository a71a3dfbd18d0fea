//! Takes connections in, also when the agent may have no more fds: one is kept back for that.

use std::{fs::File, io, time::Duration};

use prometheus::IntCounter;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::scarce::Want;

/// Pause after a connection that could not be taken in.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener and an fd in reserve.
pub struct Door {
    listener: TcpListener,
    reserve: Option<File>,
    failures: IntCounter,
    want: Want,
}

/// A connection that was taken in.
pub struct Guest {
    pub stream: TcpStream,
    /// It has the fd that was in reserve: it may ask once.
    pub hurried: bool,
}

impl Door {
    /// Opens it; `failures` counts connections that could not be taken in.
    #[must_use]
    pub fn new(listener: TcpListener, failures: IntCounter) -> Self {
        Self { listener, reserve: reserve(), failures, want: Want::of("metrics endpoint") }
    }

    /// Waits for a connection. A node or an agent without fds is no reason to end: the listener is
    /// well, and a later try may work.
    pub async fn accept(&mut self) -> Guest {
        loop {
            let hurried = self.reserve.is_none();
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    self.want.works();
                    self.reserve = self.reserve.take().or_else(reserve);
                    return Guest { stream, hurried: hurried && self.reserve.is_none() };
                }
                Err(error) if is_want(&error) && self.reserve.take().is_some() => {}
                Err(error) => {
                    self.failures.inc();
                    self.want.fails(&error);
                    sleep(PAUSE).await;
                    self.reserve = self.reserve.take().or_else(reserve);
                }
            }
        }
    }
}

fn is_want(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// An fd that is good for nothing but to be closed.
fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}
