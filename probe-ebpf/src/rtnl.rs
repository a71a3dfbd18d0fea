//! rtnl: who waits for the RTNL mutex, how long, and who has it meanwhile.
//!
//! The hooks are where a task goes that did not get a mutex at once: a lock without contention costs
//! nothing, one of another mutex a compare. Holders are never hooked; a task that has to wait reads
//! from the mutex who has it.

use aya_ebpf::{
    macros::{fentry, fexit, kprobe, kretprobe, map, tracepoint},
    maps::{HashMap, PerCpuArray},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext, TracePointContext},
};
use probe_common::{
    counter, field as f,
    rtnl::{RtnlShortRecord, RtnlWaitRecord, RtnlWaiting},
    symbol,
    wire::{kind, signal},
};

use crate::{
    globals::{address, rtnl_least_wait},
    kernel::{field, task},
    output,
};

/// Tasks that may wait at once. The map is no LRU: with many processors that forgets entries long before
/// it is full. The agent takes out what stays behind.
const WAITERS: u32 = 4_096;
/// Flags in the low bits of `mutex.owner` (kernel/locking/mutex.h).
const MUTEX_FLAGS: u64 = 7;
/// Offset of `lock_addr` in both `lock/contention_*` tracepoints (bytes).
const LOCK_ADDR: usize = 8;
/// Waits of their own record that a CPU tells in a second; the rest is told in sum.
const BUDGET: u64 = 1_000;
/// Waiting that is told in sum no later than when it has come to this (ns).
const FOLD: u64 = 100_000_000;
const SECOND: u64 = 1_000_000_000;
/// Map flags (include/uapi/linux/bpf.h).
const BPF_ANY: u64 = 0;
const BPF_NOEXIST: u64 = 1;

/// What a CPU has not told yet, and what it told.
#[derive(Clone, Copy)]
#[repr(C)]
struct Untold {
    waits: u64,
    waited: u64,
    /// The second (since boot) that `records` counts in.
    second: u64,
    records: u64,
}

#[map]
static RTNL_WAITING: HashMap<u64, RtnlWaiting> = HashMap::with_max_entries(WAITERS, 0);

#[map]
static RTNL_UNTOLD: PerCpuArray<Untold> = PerCpuArray::with_max_entries(1, 0);

// void __mutex_lock_slowpath(struct mutex *lock)
#[fentry]
fn rtnl_wait_fentry(ctx: FEntryContext) -> i32 {
    begins(ctx.arg(0), BPF_ANY);
    0
}

#[fexit]
fn rtnl_got_fexit(ctx: FExitContext) -> i32 {
    ends(ctx.arg(0));
    0
}

// int __mutex_lock_killable_slowpath(struct mutex *lock): new namespaces and devices of drivers
#[fentry]
fn rtnl_wait_killable(ctx: FEntryContext) -> i32 {
    begins(ctx.arg(0), BPF_ANY);
    0
}

#[fexit]
fn rtnl_got_killable(ctx: FExitContext) -> i32 {
    ends(ctx.arg(0));
    0
}

#[kprobe]
fn rtnl_wait_kprobe(ctx: ProbeContext) -> u32 {
    let Some(lock) = ctx.arg(0) else { return 0 };
    if is_rtnl(lock) {
        // SAFETY: the entry belongs to this thread alone.
        if unsafe { RTNL_WAITING.get(output::thread_key()) }.is_some() {
            // The kernel had no room to note that this thread's last wait returned.
            lost();
        }
        begins(lock, BPF_ANY);
    }
    0
}

#[kretprobe]
fn rtnl_got_kretprobe(_ctx: RetProbeContext) -> u32 {
    // The arguments are gone: whoever has an entry waited for this mutex.
    got();
    0
}

// lock/contention_begin(void *lock_addr, unsigned int flags): twice a wait of a task that spins
// first, for locks of every sort
#[tracepoint]
fn rtnl_contention_begin(ctx: TracePointContext) -> u32 {
    // SAFETY: the tracepoint carries the lock's address there.
    if let Ok(lock) = unsafe { ctx.read_at::<u64>(LOCK_ADDR) } {
        begins(lock, BPF_NOEXIST);
    }
    0
}

// lock/contention_end(void *lock_addr, int ret): once
#[tracepoint]
fn rtnl_contention_end(ctx: TracePointContext) -> u32 {
    // SAFETY: as above.
    if let Ok(lock) = unsafe { ctx.read_at::<u64>(LOCK_ADDR) } {
        ends(lock);
    }
    0
}

#[inline(always)]
fn is_rtnl(lock: u64) -> bool {
    address(symbol::RTNL_MUTEX) == Some(lock)
}

#[inline(always)]
fn begins(lock: u64, flags: u64) {
    if !is_rtnl(lock) {
        return;
    }
    let mut waiting = RtnlWaiting { began_ns: output::now(), ..RtnlWaiting::default() };
    let owner = field::<u64>(lock, f::MUTEX_OWNER).unwrap_or(0) & !MUTEX_FLAGS;
    if owner != 0 {
        task::describe(owner, &mut waiting.holder);
    }
    // Where there is no room, the end finds no entry and counts it.
    let _ = RTNL_WAITING.insert(output::thread_key(), waiting, flags);
}

#[inline(always)]
fn ends(lock: u64) {
    if is_rtnl(lock) && got().is_none() {
        lost();
    }
}

#[inline(always)]
fn lost() {
    output::count(signal::RTNL, counter::SEEN);
    output::count(signal::RTNL, counter::LOST_STASH_FULL);
}

/// The current thread's wait is over; `None` when no beginning is known.
#[inline(always)]
fn got() -> Option<()> {
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let waiting = unsafe { RTNL_WAITING.get(key) }.copied()?;
    let _ = RTNL_WAITING.remove(key);
    let now = output::now();
    let waited = now.saturating_sub(waiting.began_ns);
    let untold = RTNL_UNTOLD.get_ptr_mut(0)?;
    // SAFETY: this CPU's own slot; programs do not nest on it.
    let untold = unsafe { &mut *untold };
    if waited >= rtnl_least_wait() && has_budget(untold, now) {
        output::emit::<RtnlWaitRecord>(kind::RTNL_WAIT, |record| {
            record.waited_ns = waited;
            record.holder = waiting.holder;
            task::describe(task::current(), &mut record.waiter);
        });
    } else {
        fold(untold, waited);
    }
    Some(())
}

#[inline(always)]
fn has_budget(untold: &mut Untold, now: u64) -> bool {
    let second = now / SECOND;
    if untold.second != second {
        (untold.second, untold.records) = (second, 0);
    }
    untold.records += 1;
    untold.records <= BUDGET
}

/// Adds a wait to those told in sum, and tells them when they have come to much.
#[inline(always)]
fn fold(untold: &mut Untold, waited: u64) {
    output::count(signal::RTNL, counter::SEEN);
    output::count(signal::RTNL, counter::SUPPRESSED);
    untold.waits += 1;
    untold.waited += waited;
    if untold.waited < FOLD {
        return;
    }
    let (waits, waited) = (untold.waits, untold.waited);
    (untold.waits, untold.waited) = (0, 0);
    output::emit::<RtnlShortRecord>(kind::RTNL_SHORT, |record| {
        (record.waits, record.waited_ns) = (waits, waited);
    });
}
