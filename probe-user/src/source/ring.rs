//! The kernel's ring buffer as a source.

use std::{io, time::Duration};

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::Source;

/// How long the reader stays behind after a read. The kernel wakes a reader only when it had caught
/// up, so this caps wake-ups at 100 a second however hard a storm blows, while the first record of
/// a quiet time still comes through at once.
const STAY_BEHIND: Duration = Duration::from_millis(10);

/// Records handed over in one turn, more than the ring holds (512 KiB). A storm that fills it faster than
/// it is read must not keep the loop from turning.
const MOST_A_TURN: usize = 8_192;

/// Reads the live kernel.
pub struct LiveRing {
    ring: AsyncFd<RingBuf<MapData>>,
    fresh: bool,
    /// Whether a turn ended before the ring did: for what is left the kernel wakes nobody.
    left: bool,
}

impl LiveRing {
    /// Takes over the ring of a loaded probe.
    ///
    /// # Errors
    /// When the fd cannot be registered with the runtime.
    pub fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        let interest = tokio::io::Interest::READABLE;
        // SAFETY: the ring owns its fd, which stays open for as long as it lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, interest) }?;
        Ok(Self { ring, fresh: true, left: false })
    }
}

impl Source for LiveRing {
    async fn ready(&mut self) -> io::Result<()> {
        if self.left {
            tokio::task::yield_now().await;
            return Ok(());
        }
        if !std::mem::take(&mut self.fresh) {
            tokio::time::sleep(STAY_BEHIND).await;
        }
        let mut guard = self.ring.readable_mut().await?;
        // What comes after this makes the fd readable again; what came before is drained now.
        guard.clear_ready();
        Ok(())
    }

    fn drain(&mut self, mut each: impl FnMut(&[u8])) {
        let ring = self.ring.get_mut();
        self.left = false;
        for _ in 0..MOST_A_TURN {
            let Some(record) = ring.next() else { return };
            each(&record);
        }
        self.left = true;
    }
}
