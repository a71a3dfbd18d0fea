//! Another program in the place of this one: written in any language, in a container or not.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{chdir, chroot};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::Ack;
use crate::clock::Moment;

/// Become a program that opens netlink sockets and never closes them.
#[derive(Args)]
pub struct Leaker {
    /// The program.
    program: PathBuf,
    /// How many sockets.
    #[arg(long)]
    count: u64,
    /// Run it in a root that no other mount namespace sees, mounted on this directory.
    #[arg(long)]
    root: Option<PathBuf>,
    /// Run it from a file that no directory has any more, as after an upgrade.
    #[arg(long, conflicts_with = "root")]
    gone: bool,
}

/// Sends its only word before, as the program has none.
pub fn run(args: &Leaker) -> Result<()> {
    let (program, _file) = match &args.root {
        Some(root) => (contain(&args.program, root)?, None),
        None if args.gone => detach(&args.program)?,
        None => (args.program.clone(), None),
    };
    Ack::FirstBadAct { at: Moment::now() }.send()?;
    let failed = Command::new(&program).arg(args.count.to_string()).exec();
    Err(failed).with_context(|| format!("cannot run {}", program.display()))
}

/// A copy of the program that only its fd leads to, and that fd, which execve(2) keeps.
fn detach(program: &Path) -> Result<(PathBuf, Option<OwnedFd>)> {
    let copy = memfd_create("gone", MemfdFlags::empty()).context("cannot make a file")?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
    fs::copy(program, &path).context("cannot copy the program")?;
    // A file that is open for writing cannot be run.
    let read = open(&path, OFlags::RDONLY, Mode::empty()).context("cannot open the copy")?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}", read.as_raw_fd())), Some(read)))
}

/// Moves into a root with nothing but the program in it, as a container has; its path there.
fn contain(program: &PathBuf, root: &PathBuf) -> Result<PathBuf> {
    // SAFETY: no fd table is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("cannot unshare mounts")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("cannot make mounts private")?;
    mount("tmpfs", root, "tmpfs", MountFlags::empty(), None).context("cannot mount a root")?;
    let name = program.file_name().context("the program has no name")?;
    fs::copy(program, root.join(name)).context("cannot copy the program")?;
    chroot(root).and_then(|()| chdir("/")).context("cannot change the root")?;
    Ok(PathBuf::from("/").join(name))
}
