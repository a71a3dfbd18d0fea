//! Takes connections in, also when the agent may have no more fds: one is kept back for that.

use std::{
    fs::File,
    io, net,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::IntCounter;
use tokio::{
    io::unix::AsyncFd,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use crate::scarce::Want;

/// Pause after a connection that could not be taken in.
const PAUSE: Duration = Duration::from_secs(1);

/// A listener and an fd in reserve.
pub struct Door {
    listener: AsyncFd<net::TcpListener>,
    reserve: Reserve,
    failures: IntCounter,
    want: Want,
}

/// An fd that is good for nothing but to be closed, or none.
#[derive(Clone)]
pub struct Reserve(Arc<Mutex<Option<File>>>);

impl Door {
    /// Opens it; `failures` counts connections that could not be taken in.
    ///
    /// # Errors
    /// When the runtime cannot watch the listener.
    pub fn new(listener: TcpListener, failures: IntCounter) -> io::Result<Self> {
        let reserve = Reserve(Arc::default());
        reserve.fill();
        // SAFETY: the listener owns its fd, which stays open for as long as it lives.
        let listener = unsafe { AsyncFd::register(listener.into_std()?) }?;
        Ok(Self { listener, reserve, failures, want: Want::of("metrics endpoint") })
    }

    /// The next connection. Whoever waits is looked for each second too: what is taken for gone while
    /// there are no fds is told of by nobody again.
    async fn next(&self) -> io::Result<TcpStream> {
        loop {
            match self.listener.get_ref().accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    return TcpStream::from_std(stream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if let Ok(ready) = timeout(PAUSE, self.listener.readable()).await {
                ready?.clear_ready();
            }
        }
    }

    /// Waits for a connection; with it comes the reserve where that was given up for it, to be filled
    /// when the connection is closed. A node or an agent without fds is no reason to end: the listener
    /// is well, and a later try may work.
    pub async fn accept(&mut self) -> (TcpStream, Option<Reserve>) {
        loop {
            let given_up = !self.reserve.fill();
            let error = match self.next().await {
                Ok(stream) => {
                    self.want.works();
                    return (stream, given_up.then(|| self.reserve.clone()));
                }
                Err(error) => error,
            };
            let want = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
            if want && self.reserve.give_up() {
                match self.next().await {
                    Ok(stream) => return (stream, Some(self.reserve.clone())),
                    Err(_) => self.reserve.fill(),
                };
            }
            self.failures.inc();
            self.want.fails(&error);
            sleep(PAUSE).await;
        }
    }
}

impl Reserve {
    /// Opens the fd if there is none; whether there is one now.
    pub fn fill(&self) -> bool {
        let mut fd = self.lock();
        if fd.is_none() {
            *fd = File::open("/dev/null").ok();
        }
        fd.is_some()
    }

    /// Closes the fd; whether there was one.
    fn give_up(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_one_fd_that_comes_back() {
        let reserve = Reserve(Arc::default());
        assert!(!reserve.give_up(), "there is none yet");
        assert!(reserve.fill() && reserve.fill());
        let other = reserve.clone();
        assert!(other.give_up() && !reserve.give_up(), "it is the same for all");
        assert!(other.fill() && reserve.give_up());
    }
}
