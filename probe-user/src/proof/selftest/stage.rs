//! The thread that acts, in a network namespace of its own. Whatever it made goes with it.

use std::{
    io,
    os::fd::OwnedFd,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{acts::ActError, trial::TRIALS};
use crate::event::BootNs;

/// Orders and reports that may wait; one is under way at a time.
const QUEUE: usize = 1;
/// Longest that the thread may take to end: it may be in the middle of an act.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at an ending thread.
const POLL: Duration = Duration::from_millis(5);

/// What the acts have to do with: it is the acting thread's own.
pub struct Stage {
    /// The errno for which it has no network namespace of its own, if it has none.
    refused: Option<i32>,
    /// Sockets that stay open to the end.
    pub held: Vec<OwnedFd>,
}

impl Stage {
    fn enter() -> Self {
        // SAFETY: takes no pointer; moves this thread alone.
        let refused = match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
            0 => None,
            _ => io::Error::last_os_error().raw_os_error(),
        };
        Self { refused, held: Vec::new() }
    }

    /// Whether this thread is in a network namespace where nobody else is.
    ///
    /// # Errors
    /// Why not.
    pub fn is_private(&self) -> Result<(), ActError> {
        let errno = self.refused.map(io::Error::from_raw_os_error);
        errno.map_or(Ok(()), |error| Err(ActError::Namespace(error)))
    }
}

/// How an act went: when its last step was about to be done (ns since boot).
pub type Acted = Result<BootNs, ActError>;

/// The near end of the thread.
pub struct Actor {
    orders: SyncSender<usize>,
    pub acted: mpsc::Receiver<Acted>,
    handle: JoinHandle<()>,
}

impl Actor {
    /// Starts it, under this name.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(name: &str) -> io::Result<Self> {
        let (orders, to_do) = sync_channel(QUEUE);
        let (done, acted) = mpsc::channel(QUEUE);
        let handle =
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&to_do, &done))?;
        Ok(Self { orders, acted, handle })
    }

    /// Has it do one of [`TRIALS`]. When it is gone, [`Actor::acted`] ends.
    pub fn order(&self, trial: usize) {
        let _ = self.orders.try_send(trial);
    }

    /// Waits until it has left, with all it made. `false` when it does not.
    #[must_use]
    pub fn leave(self) -> bool {
        drop((self.orders, self.acted));
        let deadline = Instant::now() + PATIENCE;
        while !self.handle.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        self.handle.join().is_ok()
    }
}

fn work(to_do: &Receiver<usize>, done: &mpsc::Sender<Acted>) {
    let mut stage = Stage::enter();
    for trial in to_do {
        let Some(trial) = TRIALS.get(trial) else { return };
        if done.blocking_send((trial.act)(&mut stage)).is_err() {
            return;
        }
    }
}
