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

    /// The connection that waits, if one does.
    fn next(&self) -> io::Result<Option<TcpStream>> {
        match self.listener.get_ref().accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(true)?;
                TcpStream::from_std(stream).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::next`], with the reserve where there is no fd else. The kernel asks for the fd before
    /// it looks whether somebody waits (`do_accept` in net/socket.c), so this fails for want of one also
    /// when nobody does: then the reserve is taken back at once.
    fn next_at_any_price(&self) -> io::Result<Option<(TcpStream, Option<Reserve>)>> {
        let given_up = !self.reserve.fill();
        let reserve = |given_up: bool| given_up.then(|| self.reserve.clone());
        let error = match self.next() {
            Ok(stream) => return Ok(stream.map(|stream| (stream, reserve(given_up)))),
            Err(error) => error,
        };
        let want = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
        if !want || !self.reserve.give_up() {
            return Err(error);
        }
        let second = self.next();
        if !matches!(second, Ok(Some(_))) {
            self.reserve.fill();
        }
        Ok(second.map_err(|_| error)?.map(|stream| (stream, reserve(true))))
    }

    /// Waits for a connection; with it comes the reserve where that was given up for it, to be filled
    /// when the connection is closed. A node or an agent without fds is no reason to end: the listener
    /// is well, and a later try may work. Whoever waits is looked for each second too: what is taken for
    /// gone while there are no fds is told of by nobody again.
    pub async fn accept(&mut self) -> (TcpStream, Option<Reserve>) {
        loop {
            match self.next_at_any_price() {
                Ok(Some(taken_in)) => {
                    self.want.works();
                    return taken_in;
                }
                Ok(None) => match timeout(PAUSE, self.listener.readable()).await {
                    Ok(Ok(mut ready)) => ready.clear_ready(),
                    Err(_elapsed) => {}
                    // The runtime is going.
                    Ok(Err(_)) => sleep(PAUSE).await,
                },
                Err(error) => {
                    self.failures.inc();
                    self.want.fails(&error);
                    sleep(PAUSE).await;
                }
            }
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
