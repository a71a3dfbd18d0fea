//! The acts: real kernel objects, as the incidents make them, and gone when it is over.

use std::{io, path::PathBuf};

use thiserror::Error;

pub mod capped;
mod cgroup;
pub mod flip;
pub mod leak;

/// Why an act could not be done. Nothing is proven then, for or against the agent.
#[derive(Debug, Error)]
pub enum ActError {
    #[error("no network namespace of its own: {0}; run as root, or add CAP_SYS_ADMIN")]
    Namespace(#[source] io::Error),
    #[error("no netlink socket: {0}; see the limits on fds (ulimit -n, fs.file-max)")]
    Socket(#[source] io::Error),
    #[error(
        "the kernel refuses {what}: {source}; it needs CAP_NET_ADMIN, and on some kernels `modprobe {module}`"
    )]
    Refused { what: &'static str, module: &'static str, source: io::Error },
    #[error(
        "no cgroup hierarchy with the pids controller is mounted; mount the node's at /sys/fs/cgroup"
    )]
    NoCgroups,
    #[error("{}: {source}; mount the node's cgroupfs writable", path.display())]
    Cgroup { path: PathBuf, source: io::Error },
    #[error(
        "{}: no pids controller for groups below it ({source}); in a container mount the node's \
         /sys/fs/cgroup, or run with its cgroup namespace",
        path.display()
    )]
    NoPidsController { path: PathBuf, source: io::Error },
    #[error("the clone was not refused for pids.max = 0: {0}")]
    NotRefused(String),
}
