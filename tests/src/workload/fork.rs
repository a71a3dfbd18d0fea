//! Forks that fail and forks that do not, by every way a program can ask for one.

use std::io::{Error, Result as IoResult};
use std::{mem, ptr, thread};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rustix::process::Uid;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{UnshareFlags, set_thread_uid, unshare_unsafe};

use super::place::Place;
use super::{Ack, end_with_parent, stay};
use crate::clock::Moment;

/// A user nobody is.
pub const STRANGER: u32 = 54_321;

/// Fill what is limited, then fail to fork.
#[derive(Args)]
pub struct ForkFail {
    #[command(flatten)]
    place: Place,
    /// How many failures, each by the next way to fork.
    #[arg(long)]
    failures: usize,
    /// What stops the forks.
    #[arg(long, value_enum, default_value_t = Stop::Cgroup)]
    stop: Stop,
}

/// What stops forks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Stop {
    /// The pids.max of the cgroup, or of one above it.
    Cgroup,
    /// `RLIMIT_NPROC` of another user, set to [`NPROC`].
    Nproc,
    /// A pid namespace whose init has ended.
    DeadPidNamespace,
}

/// The limit on the stranger's tasks.
pub const NPROC: u64 = 6;

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

impl Stop {
    /// Sets the limit that will stop forks.
    fn prepare(self) -> Result<()> {
        match self {
            Self::Cgroup => {}
            Self::Nproc => {
                let limit = Rlimit { current: Some(NPROC), maximum: Some(NPROC) };
                setrlimit(Resource::Nproc, limit).context("cannot set RLIMIT_NPROC")?;
                set_thread_uid(Uid::from_raw(STRANGER)).context("cannot become another user")?;
                // A change of user takes this back.
                end_with_parent()?;
            }
            Self::DeadPidNamespace => {
                // SAFETY: only children are born into the new namespace.
                unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.context("cannot unshare")?;
                Way::Fork.ask().context("the namespace's init cannot be born")?;
            }
        }
        Ok(())
    }

    fn errno(self) -> i32 {
        match self {
            Self::Cgroup | Self::Nproc => libc::EAGAIN,
            Self::DeadPidNamespace => libc::ENOMEM,
        }
    }

    /// A thread cannot be born into another pid namespace than its process.
    fn allows(self, way: Way) -> bool {
        self != Self::DeadPidNamespace || !matches!(way, Way::Thread)
    }
}

/// Fills what is limited with sleeping children, then fails as often as asked, then stays.
pub fn fail(args: &ForkFail) -> Result<()> {
    args.place.enter()?;
    args.stop.prepare()?;
    let refused = |error: &Error| error.raw_os_error() == Some(args.stop.errno());
    let at = fill(refused)?;
    Ack::FirstBadAct { at }.send()?;
    let ways = Way::ALL.iter().filter(|way| args.stop.allows(**way)).cycle();
    for way in ways.take(args.failures - 1) {
        let error = way.ask().err();
        ensure!(error.as_ref().is_some_and(refused), "{way:?}: {error:?}, not what was provoked");
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

/// Adds sleeping children until one is refused; when that was.
fn fill(refused: impl Fn(&Error) -> bool) -> Result<Moment> {
    loop {
        let at = Moment::now();
        match fork() {
            Ok(0) => sleep_until_killed(),
            Ok(_) => {}
            Err(error) if refused(&error) => return Ok(at),
            Err(error) => return Err(error).context("cannot fork, and not for want of room"),
        }
    }
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
