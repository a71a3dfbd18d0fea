//! The node's cgroup namespace. A container has one of its own with cgroup v2, and there /proc tells the
//! cgroups of others as `/../..` and what is below: no path by which one is found.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
};

/// kthreadd, where pids are the node's: it never leaves the namespaces that the kernel started with.
const KTHREADD: &str = "/proc/2";

/// Enters it, unless this process is there, or sees no process of the node.
///
/// Must be called while the process has one thread: a namespace belongs to the thread that entered it.
///
/// # Errors
/// When it may not be entered (needs `CAP_SYS_ADMIN`, and `CAP_SYS_PTRACE` to be looked at).
pub fn enter_nodes() -> io::Result<()> {
    let cgroups = match fs::read(format!("{KTHREADD}/cgroup")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        cgroups => cgroups?,
    };
    if !is_outside(&cgroups) {
        return Ok(());
    }
    let nodes = File::open(format!("{KTHREADD}/ns/cgroup"))?;
    // SAFETY: takes no pointer, and the fd is open.
    if unsafe { libc::setns(nodes.as_raw_fd(), libc::CLONE_NEWCGROUP) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether a process is in cgroups outside of our namespace, by its /proc/PID/cgroup (cgroups(7)).
fn is_outside(cgroups: &[u8]) -> bool {
    let mut lines = cgroups.split(|byte| *byte == b'\n');
    lines.any(|line| line.splitn(3, |byte| *byte == b':').nth(2).is_some_and(is_above))
}

fn is_above(path: &[u8]) -> bool {
    path.strip_prefix(b"/..").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_who_is_outside() {
        for outside in ["0::/..\n", "0::/../../init.scope\n", "5:pids:/a\n0::/../b\n"] {
            assert!(is_outside(outside.as_bytes()), "{outside:?}");
        }
        for inside in ["", "0::/\n", "0::/init.scope\n", "0::/..a\n", "1:name=systemd:/a:/../b\n"] {
            assert!(!is_outside(inside.as_bytes()), "{inside:?}");
        }
    }

    #[test]
    fn whoever_is_there_stays() {
        enter_nodes().unwrap();
    }
}
