//! What the current task was doing in user space when it entered the kernel.

use aya_ebpf::helpers::bpf_probe_read_user;
use probe_common::field as f;

use super::{field, read_at, task};

/// The value at an address of the current process; `None` where it cannot be read.
#[inline(always)]
pub fn read<T>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// Size of a kernel stack on x86-64 (`THREAD_SIZE`, bytes); double with KASAN, where nothing is found.
const THREAD_SIZE: u64 = 16 * 1024;
/// `sizeof(struct pt_regs)` on x86-64 (bytes).
const PT_REGS: u64 = 168;
/// Free bytes above the registers (`TOP_OF_KERNEL_STACK_PADDING`): none, or 16 with CONFIG_X86_FRED.
const PADDINGS: [u64; 2] = [0, 16];
/// `socket` in arch/x86/entry/syscalls/syscall_64.tbl.
const SYS_SOCKET: u64 = 41;
/// Offset of `orig_ax` in `struct pt_regs` (bytes).
const ORIG_AX: u64 = 120;

/// The end of `struct pt_regs` on x86-64.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entered {
    orig_ax: u64,
    ip: u64,
    cs: u64,
    flags: u64,
    sp: u64,
    ss: u64,
}

/// The word on top of the user stack of a task in `socket(2)`; 0 when it cannot be had.
///
/// The walk by frame pointers steps over the caller of a function without a frame, and libc's
/// `socket()` is one: its return address is on top of the stack. `bpf_task_pt_regs` is of 5.15.
#[inline(always)]
pub fn top_of_stack() -> u64 {
    let Some(stack) = field::<u64>(task::current(), f::TASK_STACK) else {
        return 0;
    };
    for padding in PADDINGS {
        let Some(entered) = read_at::<Entered>(stack + THREAD_SIZE - padding - PT_REGS + ORIG_AX)
        else {
            continue;
        };
        // User mode (ring 3) in this very call, or these are no registers.
        if entered.orig_ax == SYS_SOCKET && entered.cs & 3 == 3 {
            return read(entered.sp).unwrap_or(0);
        }
    }
    0
}
