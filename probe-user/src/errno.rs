//! Names of errnos.

/// The name of a positive errno (errno(3)); `errno ?` for one outside the table's use here.
#[must_use]
pub fn name(errno: i32) -> &'static str {
    match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::ENODEV => "ENODEV",
        libc::EINVAL => "EINVAL",
        libc::ENOSPC => "ENOSPC",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        // The kernel's own ENOTSUPP (include/linux/errno.h), which libc does not know.
        524 => "ENOTSUPP",
        _ => "errno ?",
    }
}
