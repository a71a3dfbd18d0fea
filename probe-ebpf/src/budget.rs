//! A budget of records for each subject, so that a storm of one costs a count an event and takes no
//! room in the ring from the others. What is above the budget is summed up by class, not dropped: the
//! agent takes the sums about once a second (see `probe_common::budget` for the order this keeps).

use aya_ebpf::{
    helpers::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, HashMap, LruHashMap},
};
use probe_common::{
    budget::{BURST, PER_SECOND, RECORD_WORDS, SUBJECTS, SUMS, Sum, SumKey},
    counter,
};

use crate::output::{self, Record};

/// What a record costs (ns of time to earn it).
const COST: u64 = 1_000_000_000 / PER_SECOND;
/// `BPF_NOEXIST` in include/uapi/linux/bpf.h.
const BPF_NOEXIST: u64 = 1;

/// What a subject has spent.
#[derive(Clone, Copy)]
#[repr(C)]
struct Budget {
    /// When all that was sent will have been earned (ns).
    earned: u64,
    /// The epoch in which everything of it will have been told.
    told_in: u32,
    _pad: u32,
}

/// The epoch, stepped by the agent.
#[map]
static EPOCH: Array<u32> = Array::with_max_entries(1, 0);

#[map]
static BUDGETS: LruHashMap<u64, Budget> = LruHashMap::with_max_entries(SUBJECTS, 0);

/// No LRU: what is in it must not be forgotten.
#[map]
static SUMMED: HashMap<SumKey, Sum> = HashMap::with_max_entries(SUMS, 0);

/// A sum of nothing, to make new ones of: it would take most of a program's stack.
#[map]
static NOTHING: Array<Sum> = Array::with_max_entries(1, 0);

/// Digests a number into a key: the step of FxHash.
#[inline(always)]
pub fn mix(key: u64, number: u64) -> u64 {
    (key.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// The current epoch.
#[inline(always)]
pub fn epoch() -> u32 {
    // SAFETY: the agent writes the word whole.
    EPOCH.get_ptr(0).map_or(0, |epoch| unsafe { epoch.read_volatile() })
}

/// Takes a record out of a subject's budget; the epoch to sum it up in when none is left. Processors
/// that ask at the same moment may get one record for two: that only shifts the limit.
#[inline(always)]
pub fn spend(subject: u64) -> Option<u32> {
    let (now, epoch) = (output::now(), epoch());
    let Some(budget) = BUDGETS.get_ptr_mut(subject) else {
        let _ = BUDGETS.insert(subject, Budget { earned: now + COST, told_in: 0, _pad: 0 }, 0);
        return None;
    };
    // SAFETY: the slot stays readable while the program runs.
    let budget = unsafe { &mut *budget };
    let earned = if budget.earned > now { budget.earned } else { now };
    if earned - now < BURST * COST && epoch >= budget.told_in {
        budget.earned = earned + COST;
        return None;
    }
    // The agent takes this epoch's sums in the next one, and ends that when it is done.
    budget.told_in = epoch + 2;
    Some(epoch)
}

/// Which record of a class stands for all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// They are alike: the rest costs no more than a count.
    First,
    /// The last says what is there now.
    Last,
}

/// What the events of a sum have in common.
#[derive(Clone, Copy)]
pub struct Class {
    pub kind: u16,
    pub digest: u64,
    pub keep: Keep,
}

/// Adds events to the sum of a class and lets `fill` write the record that is kept. Returns whether
/// there was room.
#[inline(always)]
pub fn sum<T: Record>(class: Class, epoch: u32, events: u64, fill: impl FnOnce(&mut T)) -> bool {
    const { assert!(size_of::<T>() <= 8 * RECORD_WORDS && align_of::<T>() <= 8) };
    // SAFETY: takes nothing and always succeeds.
    let processor = unsafe { bpf_get_smp_processor_id() };
    let key = SumKey { class: mix(class.digest, class.kind as u64), epoch, processor };
    let (sum, is_new) = match SUMMED.get_ptr_mut(key) {
        Some(sum) => (sum, false),
        None => match new_sum(&key) {
            Some(sum) => (sum, true),
            None => return false,
        },
    };
    // SAFETY: this processor's own slot, which the agent reads when the epoch is over; programs do not
    // nest on it.
    unsafe { (*sum).events += events };
    if is_new || class.keep == Keep::Last {
        // SAFETY: as above; large enough and aligned for T, and zero is a valid T.
        let record = unsafe {
            let record = (&raw mut (*sum).record).cast::<T>();
            record.write_bytes(0, 1);
            &mut *record
        };
        output::stamp::<T>(record, class.kind);
        fill(record);
    }
    true
}

#[inline(always)]
fn new_sum(key: &SumKey) -> Option<*mut Sum> {
    // SAFETY: nobody writes to it.
    let nothing = unsafe { &*NOTHING.get_ptr(0)? };
    let _ = SUMMED.insert(key, nothing, BPF_NOEXIST);
    SUMMED.get_ptr_mut(key)
}

/// Sends a record within the subject's budget; above it adds to the sum of its class.
#[inline(always)]
pub fn emit<T: Record>(subject: u64, class: Class, fill: impl Fn(&mut T)) {
    if let Some(epoch) = spend(subject)
        && sum::<T>(class, epoch, 1, &fill)
    {
        let signal = (class.kind >> 8) as u32;
        output::count(signal, counter::SEEN);
        output::count(signal, counter::SUPPRESSED);
        return;
    }
    output::emit::<T>(class.kind, fill);
}
