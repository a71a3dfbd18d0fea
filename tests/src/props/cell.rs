//! A cgroup around a running process, with room for nothing more than it has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::cgroup::PidsCgroup;

/// More tasks than any process here has.
const ROOM: u32 = 1_000;

/// A process that may start no task and take little memory.
pub struct Cell {
    pid: u32,
    tasks: BTreeSet<u32>,
    cgroup: PidsCgroup,
    /// Whether memory is limited too.
    pub memory: bool,
}

impl Cell {
    /// Moves a process into one. What it has of memory stays accounted to where it was, so it may have
    /// `slack` bytes more.
    pub fn around(pid: u32, slack: u64) -> Result<Self> {
        let with_memory = PidsCgroup::with_memory(ROOM)?;
        let memory = with_memory.is_some();
        let cgroup = with_memory.map_or_else(|| PidsCgroup::create(ROOM), Ok)?;
        let cell = Self { pid, tasks: tasks(pid)?, cgroup, memory };
        cell.write("cgroup.procs", &pid.to_string())?;
        cell.write("pids.max", &cell.tasks.len().to_string())?;
        ensure!(cell.number("pids.current")? == cell.tasks.len() as u64, "a task is missing");
        if memory {
            cell.write("memory.max", &(cell.number("memory.current")? + slack).to_string())?;
        }
        Ok(cell)
    }

    /// Fails when the process has started, or tried to start, a task or another process, or was
    /// refused memory to death. Tells what memory it took.
    pub fn verify(&self) -> Result<String> {
        let now = tasks(self.pid)?;
        ensure!(now == self.tasks, "it had the tasks {:?} and has {now:?}", self.tasks);
        ensure!(self.number("pids.current")? == self.tasks.len() as u64, "it has children");
        let refused = self.event("pids.events", "max")?;
        ensure!(refused == 0, "it tried {refused} times to start a task");
        let threads = self.tasks.len();
        if !self.memory {
            return Ok(format!("{threads} threads as before"));
        }
        ensure!(self.event("memory.events", "oom_kill")? == 0, "the kernel killed for memory");
        let kib = self.number("memory.current")? / 1_024;
        Ok(format!("{threads} threads as before, {kib} KiB taken"))
    }

    fn event(&self, file: &str, name: &str) -> Result<u64> {
        let text = self.read(file)?;
        let count = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        count.with_context(|| format!("{file} has no {name}: {text:?}"))
    }

    fn number(&self, file: &str) -> Result<u64> {
        let text = self.read(file)?;
        text.trim().parse().with_context(|| format!("{file} is {text:?}"))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.cgroup.path().join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    fn write(&self, file: &str, value: &str) -> Result<()> {
        let path = self.cgroup.path().join(file);
        fs::write(&path, value)
            .with_context(|| format!("cannot write {value} to {}", path.display()))
    }
}

/// Ids of a process's threads.
fn tasks(pid: u32) -> Result<BTreeSet<u32>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The limit on another process's fds, as it was before.
pub struct FdLimit {
    pid: Pid,
    before: Rlimit,
}

impl FdLimit {
    /// Sets the soft `RLIMIT_NOFILE` of an agent to what it has: the lowest free number is one too
    /// many. The fd it keeps in reserve counts as one that it has.
    pub fn at_what_it_has(pid: u32) -> Result<Self> {
        const TRIES: usize = 10;
        /// Longer than the agent's pause between two tries to take a connection in.
        const SEVERAL_TRIES: Duration = Duration::from_secs(3);
        for _ in 0..TRIES {
            let free = lowest_free(pid)?;
            let limit = Self::at(pid, free)?;
            if reserve(pid).is_none_or(|reserve| reserve < free) {
                return Ok(limit);
            }
            // It was taken while something was open for a moment, and what was open left a gap below it,
            // which a limit in a real life cannot do. Without room it is given up, to be taken anew.
            thread::sleep(SEVERAL_TRIES);
            drop(limit);
            thread::sleep(SEVERAL_TRIES);
        }
        bail!("the agent's fd in reserve stays above a gap")
    }

    fn at(pid: u32, fds: u64) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(pid)?).context("no pid")?;
        // Who may have more is as it was inherited.
        let limit = Rlimit { current: Some(fds), ..getrlimit(Resource::Nofile) };
        let before = prlimit(Some(pid), Resource::Nofile, limit)
            .context("cannot limit another process's fds")?;
        Ok(Self { pid, before })
    }
}

/// The lowest number of an fd that a process does not have. What is open or closed for a moment seems
/// to leave less room than there is, or more: what is seen most often is what it has.
fn lowest_free(pid: u32) -> Result<u64> {
    const LOOKS: usize = 50;
    let mut seen = BTreeMap::<u64, usize>::new();
    for _ in 0..LOOKS {
        let open = fds(pid)?;
        let free = (0..).find(|number| !open.contains(number)).unwrap_or(u64::MAX);
        *seen.entry(free).or_default() += 1;
        thread::sleep(Duration::from_millis(20));
    }
    let often = seen.into_iter().max_by_key(|(_, times)| *times);
    often.map(|(free, _)| free).context("nothing was seen")
}

/// The fd that an agent keeps to take a connection in when it has no other: it opens nothing else of
/// that name.
fn reserve(pid: u32) -> Option<u64> {
    const STANDARD: u64 = 3;
    let is_reserve = |fd: &u64| {
        let file = fs::read_link(format!("/proc/{pid}/fd/{fd}"));
        *fd >= STANDARD && file.is_ok_and(|file| file.as_os_str() == "/dev/null")
    };
    fds(pid).ok()?.into_iter().find(is_reserve)
}

fn fds(pid: u32) -> Result<BTreeSet<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).context("the process is gone")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

impl Drop for FdLimit {
    fn drop(&mut self) {
        // The process may have ended.
        let _ = prlimit(Some(self.pid), Resource::Nofile, self.before);
    }
}
