//! The limits that stop a clone, read when one was refused.
//!
//! The kernel tells only an errno. But nothing a refused clone took is kept, so right after it the
//! limit that stopped it is still reached. Reading the limits then costs refused clones alone, where
//! hooks on the functions that check them would cost every clone that succeeds.

use probe_common::{
    field as f,
    fork::{ForkRecord, cause},
    symbol,
};

use super::{birthplace::Birthplace, field, read_at, task};
use crate::globals::{address, offset};

pub const EAGAIN: i32 = 11;
pub const ENOMEM: i32 = 12;
/// Index of the limit in `signal_struct.rlim` (include/uapi/asm-generic/resource.h).
const RLIMIT_NPROC: u64 = 6;
/// Either lets a task pass that limit (kernel/fork.c): `CAP_SYS_ADMIN`, `CAP_SYS_RESOURCE`.
const PASSES_NPROC: u64 = 1 << 21 | 1 << 24;
/// `RESERVED_PIDS` in include/linux/threads.h: not given out again once passed.
const RESERVED_PIDS: u64 = 300;
/// `PIDNS_ADDING` in include/linux/pid_namespace.h: set in `pid_allocated` while the namespace lives.
const PIDNS_ADDING: u32 = 1 << 31;
/// Deepest nesting of pid namespaces is 32, of cgroups rarely more than a dozen.
const DEEPEST: u32 = 32;

/// Writes which limit stopped the current task's clone, in the order copy_process() checks them.
#[inline(always)]
pub fn explain(record: &mut ForkRecord, place: Birthplace) {
    record.cause = cause::UNRESOLVED;
    if record.ret == -EAGAIN {
        // Each writes only when its limit is the one.
        if nproc(record).is_none() && threads_max(record).is_none() {
            let pids_left = pid_max(record);
            // Pids below RESERVED_PIDS may be in use, so pid_max looks reached up to that many pids
            // early. A cgroup without room is sure; it yields only to a namespace without any pid.
            if pids_left != Some(0) {
                let _ = pids_max(record, place);
            }
        }
    } else if record.ret == -ENOMEM {
        record.cause = match pid_ns() {
            Some(ns) if is_dying(ns) => cause::PID_NS_DYING,
            _ => cause::MEMORY,
        };
    }
}

#[inline(always)]
fn nproc(record: &mut ForkRecord) -> Option<()> {
    let task = task::current();
    let cred: u64 = field(task, f::TASK_CRED)?;
    let uid: u32 = field(cred, f::CRED_UID)?;
    if uid == 0 || field::<u64>(cred, f::CRED_CAP_EFFECTIVE)? & PASSES_NPROC != 0 {
        return None;
    }
    let signal: u64 = field(task, f::TASK_SIGNAL)?;
    // struct rlimit: the soft limit first, both 8 bytes.
    let limit: u64 = read_at(signal + offset(f::SIGNAL_RLIM)? + 16 * RLIMIT_NPROC)?;
    let current = tasks_of_user(cred)?;
    if current < limit {
        return None;
    }
    record.cause = cause::RLIMIT_NPROC;
    (record.current, record.limit, record.uid) = (current, limit, uid);
    Some(())
}

/// Tasks the kernel counts for the user: in `ucounts` from 5.14 on, in `user_struct` before.
#[inline(always)]
fn tasks_of_user(cred: u64) -> Option<u64> {
    if let Some(ucounts) = field::<u64>(cred, f::CRED_UCOUNTS) {
        if offset(f::UCOUNTS_RLIMIT).is_some() {
            // UCOUNT_RLIMIT_NPROC is the first of enum rlimit_type.
            return field(ucounts, f::UCOUNTS_RLIMIT);
        }
        if let Some(slot) = offset(f::UCOUNT_NPROC) {
            return read_at(ucounts + offset(f::UCOUNTS_UCOUNT)? + 8 * slot);
        }
    }
    let user: u64 = field(cred, f::CRED_USER)?;
    Some(field::<u32>(user, f::USER_PROCESSES)? as u64)
}

#[inline(always)]
fn pid_ns() -> Option<u64> {
    let proxy: u64 = field(task::current(), f::TASK_NSPROXY)?;
    field(proxy, f::NSPROXY_PID_NS)
}

#[inline(always)]
fn is_dying(ns: u64) -> bool {
    field::<u32>(ns, f::PID_NS_ALLOCATED).is_some_and(|allocated| allocated & PIDNS_ADDING == 0)
}

#[inline(always)]
fn threads_max(record: &mut ForkRecord) -> Option<()> {
    let current = variable(symbol::NR_THREADS)?;
    let limit = variable(symbol::MAX_THREADS)?;
    if current < limit {
        return None;
    }
    record.cause = cause::THREADS_MAX;
    (record.current, record.limit) = (current, limit);
    Some(())
}

/// The value of a kernel variable, an `int` that is never negative.
#[inline(always)]
fn variable(symbol: usize) -> Option<u64> {
    Some(read_at::<u32>(address(symbol)?)? as u64)
}

/// A pid is needed in the namespace and in each one above it. Returns how many pids the one that
/// seems to have run out has left, those below `RESERVED_PIDS` counted.
#[inline(always)]
fn pid_max(record: &mut ForkRecord) -> Option<u64> {
    let mut ns = pid_ns()?;
    for steps in 0..DEEPEST {
        let limit = match field::<u32>(ns, f::PID_NS_MAX) {
            Some(limit) => limit as u64,
            None => variable(symbol::PID_MAX)?,
        };
        let current = (field::<u32>(ns, f::PID_NS_ALLOCATED)? & !PIDNS_ADDING) as u64;
        if current + RESERVED_PIDS >= limit {
            record.cause = cause::PID_MAX;
            (record.current, record.limit, record.owner_steps) = (current, limit, steps);
            record.owner = field::<u32>(ns, f::PID_NS_INUM).unwrap_or(0) as u64;
            record.level = field(ns, f::PID_NS_LEVEL).unwrap_or(0);
            // Pid 0 is nobody's.
            return Some(limit.saturating_sub(current + 1));
        }
        ns = field(ns, f::PID_NS_PARENT)?;
        if ns == 0 {
            return None;
        }
    }
    None
}

/// The lowest cgroup with no room, from the child's upwards, as pids_can_fork() charges them.
#[inline(always)]
fn pids_max(record: &mut ForkRecord, place: Birthplace) -> Option<()> {
    let mut css = place.pids_css()?;
    for steps in 0..DEEPEST {
        // A css is the first member of its struct pids_cgroup.
        let current: u64 = field(css, f::PIDS_COUNTER)?;
        let limit: u64 = field(css, f::PIDS_LIMIT)?;
        if current >= limit {
            record.owner = task::cgroup_id_of(css)?;
            record.cause = cause::PIDS_MAX;
            (record.current, record.limit, record.owner_steps) = (current, limit, steps);
            record.level = 0;
            return Some(());
        }
        css = field(css, f::CSS_PARENT)?;
        if css == 0 {
            return None;
        }
    }
    None
}
