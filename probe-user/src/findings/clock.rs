//! From the kernel's clock to the calendar's.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::BootNs;

/// Reads `CLOCK_BOOTTIME` (ns); see clock_gettime(2).
#[must_use]
pub fn boot_now() -> BootNs {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; this clock exists since Linux 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A moment known on both clocks. Taken anew for each finding that fires and kept with it, so a step of
/// the wall clock moves later findings, never the detectors nor a finding that fired before.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    boot: BootNs,
    wall: Timestamp,
}

impl Clock {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self { boot: boot_now(), wall: Timestamp::now() }
    }

    /// Clocks that show this.
    #[cfg(test)]
    #[must_use]
    pub fn showing(boot: BootNs, wall: Timestamp) -> Self {
        Self { boot, wall }
    }

    /// Of another time: what a capture tells of the clocks of its node.
    #[must_use]
    pub fn at(boot: BootNs, wall_micros: i64) -> Self {
        let wall = Timestamp::from_microsecond(wall_micros).unwrap_or_default();
        Self { boot, wall }
    }

    /// Both clocks: ns since boot, microseconds since 1970.
    #[must_use]
    pub fn both(&self) -> (BootNs, i64) {
        (self.boot, self.wall.as_microsecond())
    }

    /// The wall-clock time of a moment since boot, to the microsecond.
    #[must_use]
    pub fn wall(&self, at: BootNs) -> Timestamp {
        let micros = |ns: u64| Duration::from_micros(ns / 1_000);
        let time = if at >= self.boot {
            self.wall.checked_add(micros(at - self.boot))
        } else {
            self.wall.checked_sub(micros(self.boot - at))
        };
        let time = time.unwrap_or(self.wall);
        Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_both_ways_and_survives_nonsense() {
        let clock = Clock { boot: 5_000_000_000, wall: Timestamp::from_second(1_000).unwrap() };
        assert_eq!(clock.wall(6_000_000_000), Timestamp::from_second(1_001).unwrap());
        assert_eq!(clock.wall(4_000_000_000), Timestamp::from_second(999).unwrap());
        let _ = clock.wall(u64::MAX);
        let _ = clock.wall(0);
    }
}
