//! fork: one record for each clone, clone3, fork or vfork that failed.

use crate::wire::Header;

/// A clone that the kernel refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkRecord {
    pub header: Header,
    /// Clone flags (`CLONE_THREAD`, ...), the exit signal masked out.
    pub clone_flags: u64,
    /// Negative errno.
    pub ret: i32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<ForkRecord>() == 72);
