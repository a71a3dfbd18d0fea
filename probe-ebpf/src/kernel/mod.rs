//! Reads of kernel memory: all of them go through here, none may fault.

use aya_ebpf::helpers::{bpf_probe_read_kernel, generated};

use crate::globals::{kernel_readable, offset};

pub mod birthplace;
pub mod bpf;
pub mod limits;
pub mod net;
pub mod task;
pub mod user;

/// The value at a kernel address; `None` where it cannot be read.
#[inline(always)]
pub fn read_at<T>(address: u64) -> Option<T> {
    if !kernel_readable() {
        return None;
    }
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// A field of the structure at `base`; `None` when this kernel lacks it or it cannot be read.
#[inline(always)]
pub fn field<T>(base: u64, field: usize) -> Option<T> {
    read_at(base + offset(field)?)
}

/// Copies a NUL-terminated string; leaves `into` empty when it cannot be read.
#[inline(always)]
pub fn copy_str<const N: usize>(into: &mut [u8; N], address: u64) {
    if !kernel_readable() {
        return;
    }
    // SAFETY: the helper writes at most N bytes to `into` and checks the source address.
    let _ = unsafe {
        generated::bpf_probe_read_kernel_str(
            into.as_mut_ptr().cast(),
            N as u32,
            address as *const core::ffi::c_void,
        )
    };
}
