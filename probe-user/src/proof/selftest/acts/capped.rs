//! A clone that a cgroup's `pids.max` refuses. Nothing is born: the limit is 0.

use std::{fs::File, io, os::fd::AsRawFd, ptr};

use probe_common::fork::CLONE_INTO_CGROUP;

use super::{ActError, cgroup::CappedCgroup};
use crate::{
    enrich::cgroup::PidsHierarchy, event::BootNs, findings::clock::boot_now,
    proof::selftest::stage::Stage,
};

/// Has one refused. On cgroup v2 the child was to be born in the group, which nobody has to enter; on
/// v1 this thread is in it for the moment.
///
/// # Errors
/// When there can be no such group, or the clone was not refused.
pub fn refuse(_: &mut Stage) -> Result<BootNs, ActError> {
    let hierarchy = PidsHierarchy::find().ok_or(ActError::NoCgroups)?;
    let cgroup = CappedCgroup::create(&hierarchy)?;
    let (at, refusal) = if hierarchy.is_v1() {
        let inside = cgroup.enter(&hierarchy)?;
        let refused = (boot_now(), clone(None));
        drop(inside);
        refused
    } else {
        let directory = cgroup.open()?;
        (boot_now(), clone(Some(&directory)))
    };
    match refusal {
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(at),
        Err(error) => Err(ActError::NotRefused(format!(
            "{error} instead of EAGAIN; a seccomp filter may forbid clone3"
        ))),
        Ok(()) => Err(ActError::NotRefused("a process was born and ended".into())),
    }
}

/// Asks for a process (clone3(2)), in a cgroup if there is one; the child would end at once.
fn clone(into: Option<&File>) -> io::Result<()> {
    // SAFETY: clone_args is plain integers, for which zero means "not used".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = into {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).map_err(io::Error::other)?;
    }
    // SAFETY: args lives through the call and its size is told; without CLONE_VM this is a fork.
    let child =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match i32::try_from(child) {
        // SAFETY: the one thing that a child of a process with threads may do.
        Ok(0) => unsafe { libc::_exit(0) },
        Ok(child @ 1..) => {
            // SAFETY: a null status is allowed.
            unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
            Ok(())
        }
        _ => Err(io::Error::last_os_error()),
    }
}
