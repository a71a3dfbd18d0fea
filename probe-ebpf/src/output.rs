//! The way out: one ring buffer for every signal, and exact counters beside it.
//!
//! Records are filled in place. The kernel wakes the reader only when it had caught up with the
//! writer, and the reader stays behind on purpose for a few milliseconds (see the agent's
//! `source/ring.rs`), so a storm costs some dozens of wake-ups a second and never one a record.

use aya_ebpf::{
    helpers::generated::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns},
    macros::map,
    maps::{PerCpuArray, RingBuf},
};
use probe_common::{
    bpf::TcBpfRecord,
    budget::{Sum, SumKey},
    counter,
    firewall::FirewallRecord,
    fork::ForkRecord,
    netlink::NetlinkRecord,
    rtnl::{Party, RtnlShortRecord, RtnlWaitRecord, RtnlWaiting},
    tc::{LinkGoneRecord, TcRecord},
    wire::{COMM_LEN, Header},
};

use crate::kernel::task;

/// Size of the ring (bytes): 1,400 tc records, or 7,000 small ones, between two reads.
const RING_BYTES: u32 = 512 * 1024;

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::TOTAL, 0);

/// A wire record: plain integers, so that all-zero bytes are a valid value.
pub trait Record: Copy + 'static {
    fn header(&mut self) -> &mut Header;
}

macro_rules! records {
    ($($type:ty),+) => {$(
        impl Record for $type {
            #[inline(always)]
            fn header(&mut self) -> &mut Header {
                &mut self.header
            }
        }
    )+};
}

/// Puts the records' types into the object's BTF, where a test compares their layouts with the
/// agent's. The byte is there because the kernel refuses a variable without a size.
#[repr(C)]
pub struct RecordTypes(
    [TcRecord; 0],
    [TcBpfRecord; 0],
    [LinkGoneRecord; 0],
    [FirewallRecord; 0],
    [ForkRecord; 0],
    [NetlinkRecord; 0],
    [RtnlWaitRecord; 0],
    [Party; 0],
    [RtnlShortRecord; 0],
    [RtnlWaiting; 0],
    [SumKey; 0],
    [Sum; 0],
    u8,
);

#[unsafe(no_mangle)]
static RECORD_TYPES: RecordTypes = RecordTypes([], [], [], [], [], [], [], [], [], [], [], [], 0);

records!(
    TcRecord,
    TcBpfRecord,
    LinkGoneRecord,
    FirewallRecord,
    ForkRecord,
    NetlinkRecord,
    RtnlWaitRecord,
    RtnlShortRecord
);

/// Adds `by` to a counter of a signal.
#[inline(always)]
pub fn count_by(signal: u32, counter: u32, by: u64) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter::index(signal, counter)) {
        // SAFETY: a slot of this CPU's own copy of the array; programs do not nest on it.
        unsafe { *slot += by };
    }
}

/// Adds one to a counter of a signal.
#[inline(always)]
pub fn count(signal: u32, counter: u32) {
    count_by(signal, counter, 1);
}

/// Sends one record of `kind`: reserves it, zeroes it, writes the header, lets `fill` write the
/// rest. Counts it as seen, and as delivered or lost.
#[inline(always)]
pub fn emit<T: Record>(kind: u16, fill: impl FnOnce(&mut T)) {
    let signal = (kind >> 8) as u32;
    count(signal, counter::SEEN);
    let Some(mut slot) = EVENTS.reserve::<T>(0) else {
        count(signal, counter::LOST_RING_FULL);
        return;
    };
    let record = slot.as_mut_ptr();
    // SAFETY: `record` is the reserved slot, large enough and aligned for T, and zero is a valid T.
    let record = unsafe {
        record.write_bytes(0, 1);
        &mut *record
    };
    stamp::<T>(record, kind);
    fill(record);
    slot.submit(0);
    count(signal, counter::DELIVERED);
}

/// Writes the parts of the header that are the same for every kind.
#[inline(always)]
pub fn stamp<T: Record>(record: &mut T, kind: u16) {
    let header = record.header();
    header.kind = kind;
    header.len = size_of::<T>() as u16;
    header.ts_ns = now();
    // SAFETY: takes nothing and always succeeds.
    let ids = unsafe { bpf_get_current_pid_tgid() };
    header.tgid = (ids >> 32) as u32;
    header.pid = ids as u32;
    header.cgroup_id = task::cgroup_id();
}

/// Writes the current thread's name straight into the record.
#[inline(always)]
pub fn copy_comm(header: &mut Header) {
    // SAFETY: the helper writes exactly COMM_LEN bytes, which is what `comm` has.
    let _ = unsafe { bpf_get_current_comm(header.comm.as_mut_ptr().cast(), COMM_LEN as u32) };
}

/// The current thread's name, as two numbers.
#[inline(always)]
pub fn comm() -> [u64; 2] {
    let mut comm = [0; 2];
    // SAFETY: the helper writes exactly COMM_LEN bytes, which are two words.
    let _ = unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), COMM_LEN as u32) };
    comm
}

/// `CLOCK_BOOTTIME` (ns): goes on through suspend, as "time left" must.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: takes nothing and always succeeds.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Process and thread of the current task in one key, to join a call's entry with its exit.
#[inline(always)]
pub fn thread_key() -> u64 {
    // SAFETY: takes nothing and always succeeds.
    unsafe { bpf_get_current_pid_tgid() }
}
