//! Read-only globals the agent sets before load. The verifier knows their values, so code behind
//! a switch that is off is not even part of the loaded program.

use core::ptr::read_volatile;

use probe_common::{
    field::{COUNT, MISSING},
    symbol,
};

#[unsafe(no_mangle)]
static FIELD_OFFSETS: [u32; COUNT] = [MISSING; COUNT];

/// Addresses of the variables in `probe_common::symbol`.
#[unsafe(no_mangle)]
static SYMBOL_ADDRESSES: [u64; symbol::COUNT] = [symbol::MISSING; symbol::COUNT];

/// 1 where the pids controller is on a cgroup v1 hierarchy.
#[unsafe(no_mangle)]
static PIDS_ON_CGROUP_V1: u8 = 0;

/// 0 where the kernel lets no program read its memory: one that asks for the helper is not loaded.
#[unsafe(no_mangle)]
static KERNEL_READABLE: u8 = 1;

/// Shortest wait for the RTNL mutex that gets a record of its own (ns).
#[unsafe(no_mangle)]
static RTNL_LEAST_WAIT: u64 = 0;

/// Offset of a kernel field (an index of `probe_common::field`), if this kernel has it.
#[inline(always)]
pub fn offset(field: usize) -> Option<u64> {
    // SAFETY: `field` is a constant of the table; volatile keeps the compiler from folding the
    // placeholder in.
    let offset = unsafe { read_volatile((&raw const FIELD_OFFSETS).cast::<u32>().add(field)) };
    if offset == MISSING { None } else { Some(offset as u64) }
}

/// Address of a kernel variable (an index of `probe_common::symbol`), if this kernel shows it.
#[inline(always)]
pub fn address(symbol: usize) -> Option<u64> {
    // SAFETY: `symbol` is a constant of the table; volatile for the same reason as above.
    let address = unsafe { read_volatile((&raw const SYMBOL_ADDRESSES).cast::<u64>().add(symbol)) };
    if address == symbol::MISSING { None } else { Some(address) }
}

/// Whether cgroup ids must be read from the v1 pids hierarchy.
#[inline(always)]
pub fn pids_on_cgroup_v1() -> bool {
    // SAFETY: a plain static; volatile for the same reason as above.
    unsafe { read_volatile(&raw const PIDS_ON_CGROUP_V1) != 0 }
}

/// Whether programs may read kernel memory.
#[inline(always)]
pub fn kernel_readable() -> bool {
    // SAFETY: a plain static; volatile for the same reason as above.
    unsafe { read_volatile(&raw const KERNEL_READABLE) != 0 }
}

/// Shortest wait for the RTNL mutex that gets a record of its own (ns).
#[inline(always)]
pub fn rtnl_least_wait() -> u64 {
    // SAFETY: a plain static; volatile for the same reason as above.
    unsafe { read_volatile(&raw const RTNL_LEAST_WAIT) }
}
