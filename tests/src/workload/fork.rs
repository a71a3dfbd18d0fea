//! Forks that fail and forks that do not, by every way a program can ask for one.

use std::fs;
use std::io::{Error, Result as IoResult};
use std::path::{Path, PathBuf};
use std::{mem, process, ptr, thread};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::{Ack, stay};
use crate::clock::Moment;

/// Fill a cgroup, then fail to fork.
#[derive(Args)]
pub struct ForkFail {
    /// Directory of the cgroup to move into; its pids.max must be small.
    #[arg(long)]
    cgroup: PathBuf,
    /// How many failures, each by the next way to fork.
    #[arg(long)]
    failures: usize,
}

/// Fork and reap.
#[derive(Args)]
pub struct ForkStorm {
    /// How many children.
    #[arg(long)]
    count: u64,
}

/// A way to ask the kernel for a task.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `fork(3)`: the C library's clone.
    Fork,
    /// The fork system call itself, which musl and Go still use on x86-64.
    #[cfg(target_arch = "x86_64")]
    ForkCall,
    /// The clone3 system call.
    Clone3,
    /// A thread: the C library's clone3.
    Thread,
}

impl Way {
    const ALL: &[Self] = &[
        Self::Fork,
        #[cfg(target_arch = "x86_64")]
        Self::ForkCall,
        Self::Clone3,
        Self::Thread,
    ];

    /// Asks for a task that ends at once, and waits for its end.
    fn ask(self) -> IoResult<()> {
        let child = match self {
            Self::Thread => {
                let thread = thread::Builder::new().spawn(|| ())?;
                return thread.join().map_err(|_| Error::other("the thread panicked"));
            }
            Self::Fork => fork()?,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: no pointers; this process has one thread, so the child may go on from here.
            Self::ForkCall => checked(unsafe { libc::syscall(libc::SYS_fork) })?,
            Self::Clone3 => clone3()?,
        };
        if child == 0 {
            leave();
        }
        reap(child)
    }
}

/// Fills the cgroup with sleeping children, then fails as often as asked, then stays.
pub fn fail(args: &ForkFail) -> Result<()> {
    join(&args.cgroup)?;
    let mut at = Moment::now();
    while fill()? {
        at = Moment::now();
    }
    Ack::FirstBadAct { at }.send()?;
    for way in Way::ALL.iter().cycle().take(args.failures - 1) {
        let refused = way.ask().err();
        ensure!(refused.as_ref().is_some_and(is_eagain), "{way:?}: {refused:?} instead of EAGAIN");
    }
    Ack::Done { count: args.failures as u64 }.send()?;
    stay()
}

/// Forks that all succeed.
pub fn storm(args: &ForkStorm) -> Result<()> {
    for (_, way) in (0..args.count).zip(Way::ALL.iter().cycle()) {
        way.ask().with_context(|| format!("{way:?} failed"))?;
    }
    Ack::Done { count: args.count }.send()
}

fn join(cgroup: &Path) -> Result<()> {
    let procs = cgroup.join("cgroup.procs");
    fs::write(&procs, process::id().to_string())
        .with_context(|| format!("cannot move into cgroup by {}", procs.display()))
}

/// Adds one sleeping child; false when the cgroup is full.
fn fill() -> Result<bool> {
    match fork() {
        Ok(0) => sleep_until_killed(),
        Ok(_) => Ok(true),
        Err(error) if is_eagain(&error) => Ok(false),
        Err(error) => Err(error).context("cannot fork, and not for want of room"),
    }
}

fn is_eagain(error: &Error) -> bool {
    error.raw_os_error() == Some(libc::EAGAIN)
}

fn fork() -> IoResult<libc::c_long> {
    // SAFETY: no arguments; callers have one thread, so the child may do what they may.
    checked(unsafe { libc::fork() }.into())
}

fn clone3() -> IoResult<libc::c_long> {
    // SAFETY: clone_args is plain integers, for which zero means "not used".
    let mut args: libc::clone_args = unsafe { mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: args lives through the call and its size is told; without CLONE_VM this is a fork.
    checked(unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>())
    })
}

fn checked(returned: libc::c_long) -> IoResult<libc::c_long> {
    if returned < 0 { Err(Error::last_os_error()) } else { Ok(returned) }
}

fn reap(child: libc::c_long) -> IoResult<()> {
    let child = libc::pid_t::try_from(child).map_err(Error::other)?;
    // SAFETY: a null status is allowed.
    checked(unsafe { libc::waitpid(child, ptr::null_mut(), 0) }.into()).map(drop)
}

/// Ends a child without running what its parent registered for its own exit.
fn leave() -> ! {
    // SAFETY: always allowed.
    unsafe { libc::_exit(0) }
}

/// A child that only takes up room, and ends with its parent.
fn sleep_until_killed() -> ! {
    // SAFETY: no pointers among the arguments.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    loop {
        // SAFETY: always allowed.
        unsafe { libc::pause() };
    }
}
