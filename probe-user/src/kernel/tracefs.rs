//! tracefs, which tracepoints need to be attached by name.

use std::{ffi::CStr, io, path::Path};

/// Where kernels since 4.1 offer the mount point.
const MOUNT_POINT: &CStr = c"/sys/kernel/tracing";

/// Makes sure tracefs is there. Where nobody mounted it, mounts it in a mount namespace of this
/// process alone: the host's mounts stay as they are, and new ones of the host still show here.
///
/// Must be called while the process has one thread; a namespace belongs to the thread that made it.
///
/// # Errors
/// When it is not mounted and may not be (needs `CAP_SYS_ADMIN`), or the kernel has none.
pub fn ensure() -> io::Result<()> {
    if is_mounted() {
        return Ok(());
    }
    check(
        // SAFETY: takes no pointer.
        unsafe { libc::unshare(libc::CLONE_NEWNS) },
    )?;
    // Keeps the next mount from going back to the host. /sys and not /, which is no mount in a chroot.
    mount(c"none", c"/sys", libc::MS_REC | libc::MS_SLAVE, None)?;
    mount(c"tracefs", MOUNT_POINT, 0, Some(c"tracefs"))
}

/// Whether tracepoints can be looked up by name now.
#[must_use]
pub fn is_mounted() -> bool {
    ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"]
        .iter()
        .any(|path| Path::new(path).is_dir())
}

fn mount(
    source: &CStr,
    target: &CStr,
    flags: libc::c_ulong,
    kind: Option<&CStr>,
) -> io::Result<()> {
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    check(
        // SAFETY: all pointers are NUL-terminated strings that outlive the call, or null where
        // mount(2) ignores them.
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, std::ptr::null()) },
    )
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
