//! One clock for the processes of a run: latencies cross process borders.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment of `CLOCK_MONOTONIC`, comparable between processes (unlike `std::time::Instant`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Moment {
    nanoseconds: u64,
}

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let fraction = u64::try_from(time.tv_nsec).unwrap_or_default();
        Self { nanoseconds: seconds * 1_000_000_000 + fraction }
    }

    /// Time since an earlier moment; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}
