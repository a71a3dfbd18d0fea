//! Exact counters the kernel programs keep, one block a signal, summed over CPUs by the agent.
//!
//! `SEEN = DELIVERED + SUPPRESSED + ` every `LOST_*` holds for each signal at any quiet moment.

use crate::wire::signal;

/// Events the hook saw.
pub const SEEN: u32 = 0;
/// Records put into the ring buffer.
pub const DELIVERED: u32 = 1;
/// Events without a record of their own, on purpose (rate budget, or told in sum).
pub const SUPPRESSED: u32 = 2;
/// Records lost because the ring buffer was full.
pub const LOST_RING_FULL: u32 = 3;
/// Records lost because a kernel or user structure could not be read.
pub const LOST_UNREADABLE: u32 = 4;
/// Requests behind the first one of a single `sendmsg` (tracepoint rung reads only the first).
pub const LOST_BATCHED: u32 = 5;
/// Events whose entry could not be kept until their exit (stash map full), or whose exit the kernel
/// left out (no kretprobe instance free).
pub const LOST_STASH_FULL: u32 = 6;
/// Counters in a block.
pub const PER_SIGNAL: u32 = 7;
/// Counters in all.
pub const TOTAL: u32 = PER_SIGNAL * signal::COUNT;

/// The reasons records get lost, with the name each has as a metric label.
pub const LOSSES: [(u32, &str); 4] = [
    (LOST_RING_FULL, "ring_full"),
    (LOST_UNREADABLE, "unreadable"),
    (LOST_BATCHED, "batched"),
    (LOST_STASH_FULL, "stash_full"),
];

/// Index of a counter in the map.
#[must_use]
pub const fn index(signal: u32, counter: u32) -> u32 {
    signal * PER_SIGNAL + counter
}
