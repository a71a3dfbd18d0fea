//! Budgets of records: how many a subject (a cgroup, a process, a filter) may send, and the sums in
//! which the kernel side keeps what is above.
//!
//! Sums belong to an epoch, a count that the agent steps about once a second. It takes those of past
//! epochs, which no program writes any more; and a subject that has a sum sends nothing until the
//! agent took it. So the agent sees all of one subject in order, and no count is ever read halfway.

/// Records a subject may send at once. Every rule's threshold is below a burst, so what crosses it is
/// seen event by event.
pub const BURST: u64 = 128;
/// Records a second that a subject may send for ever. Calico's worst livelock writes a filter 10 times
/// a second.
pub const PER_SECOND: u64 = 32;
/// Subjects with a budget at once; the least recently used starts afresh.
pub const SUBJECTS: u32 = 8_192;
/// Sums kept at once; what finds no room is sent.
pub const SUMS: u32 = 4_096;
/// Netlink sockets kept at once that nobody was told of; what finds no room is sent.
pub const UNTOLD_SOCKETS: u32 = 16_384;
/// Length of the longest record that a sum can keep (words of 8 bytes).
pub const RECORD_WORDS: usize = 44;

/// Names a sum.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SumKey {
    /// Digest of what the summed events have in common.
    pub class: u64,
    /// The epoch they were seen in.
    pub epoch: u32,
    /// The processor they were seen on: each adds to a sum of its own.
    pub processor: u32,
}

const _: () = assert!(size_of::<SumKey>() == 16);

/// Events of one class without a record of their own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub events: u64,
    /// The record of one of them: of the last where that is what counts, else of the first.
    pub record: [u64; RECORD_WORDS],
}

const _: () = assert!(size_of::<Sum>() == 360);
