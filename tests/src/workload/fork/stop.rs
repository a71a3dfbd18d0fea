//! What stops forks, and how each is made to.

use std::fs::{self, File};
use std::io::{Error, PipeReader, Read, Result as IoResult, Write, pipe};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, Uid, setrlimit};
use rustix::thread::{UnshareFlags, set_thread_uid, unshare_unsafe};

use super::way::{self, Way};
use crate::workload::end_with_parent;

/// A user nobody is.
pub const STRANGER: u32 = 54_321;
/// The limit on the stranger's tasks.
pub const NPROC: u64 = 6;
/// `kernel.pid_max` of a pid namespace: the least the kernel takes.
pub const NS_PID_MAX: u64 = 301;

/// What stops forks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Stop {
    /// The pids.max of the cgroup, or of one above it.
    Cgroup,
    /// `RLIMIT_NPROC` of another user, set to [`NPROC`].
    Nproc,
    /// A pid namespace whose init has ended.
    DeadPidNamespace,
    /// `kernel.pid_max` of a pid namespace of its own, set to [`NS_PID_MAX`] (6.14 and later).
    PidNamespaceMax,
    /// The pids.max of another cgroup, which children are to be born in.
    IntoCgroup,
    /// A limit of the whole node, which is set already.
    Node,
}

impl Stop {
    /// Sets the limit that will stop forks.
    pub fn prepare(self) -> Result<()> {
        match self {
            Self::Cgroup | Self::IntoCgroup | Self::Node => {}
            Self::Nproc => {
                let limit = Rlimit { current: Some(NPROC), maximum: Some(NPROC) };
                setrlimit(Resource::Nproc, limit).context("cannot set RLIMIT_NPROC")?;
                set_thread_uid(Uid::from_raw(STRANGER)).context("cannot become another user")?;
                // A change of user takes this back.
                end_with_parent()?;
            }
            Self::DeadPidNamespace => {
                unshare_pids()?;
                Way::Fork.ask().context("the namespace's init cannot be born")?;
            }
            Self::PidNamespaceMax => {
                unshare_pids()?;
                limit_pids().context("the namespace's init cannot set pid_max")?;
            }
        }
        Ok(())
    }

    /// Whether this is how it refuses.
    pub fn explains(self, error: &Error) -> bool {
        let errno = match self {
            Self::DeadPidNamespace => libc::ENOMEM,
            _ => libc::EAGAIN,
        };
        error.raw_os_error() == Some(errno)
    }

    /// A thread cannot be born into another pid namespace than its process, and only clone3 can be
    /// told another cgroup.
    pub fn allows(self, way: Way) -> bool {
        match self {
            Self::DeadPidNamespace | Self::PidNamespaceMax => !matches!(way, Way::Thread),
            Self::IntoCgroup => matches!(way, Way::Clone3),
            _ => true,
        }
    }
}

fn unshare_pids() -> Result<()> {
    // SAFETY: only children are born into the new namespace.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }.context("cannot unshare")
}

/// Starts the namespace's init, which alone sees the namespace's own pid_max, sets it and sleeps.
fn limit_pids() -> IoResult<()> {
    let (mut answer, mut question) = pipe()?;
    if way::fork()? == 0 {
        let set = fs::write("/proc/sys/kernel/pid_max", NS_PID_MAX.to_string());
        let _ = question.write_all(&[u8::from(set.is_ok())]);
        way::sleep_until_killed();
    }
    drop(question);
    said_yes(&mut answer)
}

fn said_yes(answer: &mut PipeReader) -> IoResult<()> {
    let mut yes = [0];
    answer.read_exact(&mut yes)?;
    if yes == [1] { Ok(()) } else { Err(Error::other("it was refused")) }
}

/// Has forks refused for want of memory, and tells how many were; they happen between two settings
/// of the cgroup's limit, as little else works meanwhile: not even writing to a pipe.
pub fn without_memory(cgroup: &Path, failures: usize) -> Result<usize> {
    // With nobody to kill, the kernel can only refuse.
    fs::write("/proc/self/oom_score_adj", "-1000").context("cannot forbid to be killed")?;
    let limit = cgroup.join("memory.max");
    // Both open beforehand, as opening takes memory.
    let open = || File::options().write(true).open(&limit);
    let (mut take, mut give) = (open()?, open()?);
    let mut stack = Box::new([0; 1_024]);
    // Once with memory: all that is needed here is then mapped.
    way::clone_bare(&mut stack).context("the first clone")?;
    take.write_all(b"0").context("cannot take the memory away")?;
    let mut is_refused = |_: &usize| {
        let error = way::clone_bare(&mut stack).err();
        error.and_then(|error| error.raw_os_error()) == Some(libc::ENOMEM)
    };
    let refused = (0..failures).filter(&mut is_refused).count();
    give.write_all(b"max").context("cannot give the memory back")?;
    ensure!(refused > 0, "no clone was refused for want of memory");
    Ok(refused)
}

/// An open directory of a cgroup, for clone3.
pub fn open(cgroup: &Path) -> Result<File> {
    File::open(cgroup).with_context(|| format!("cannot open {}", cgroup.display()))
}
