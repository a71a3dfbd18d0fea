//! Open fds of all processes: cheap counts of all, a closer look at few.
//!
//! What a round costs, in syscalls: one statx(2) a process from Linux 6.2 on; before, open, fstat,
//! close and two and more getdents64(2), which make the kernel keep an inode for each fd. Six more
//! (two small files) for each with [`TOLD_OF`] fds or more. For a suspect, one readlink(2) for each
//! of up to 16,384 fds, its cgroup, and its namespace's socket tables. Counted on 6.18, a round over
//! 88 processes, 7 of them told of and one a suspect with 275 fds: 91 statx, 275 readlink, 56 for
//! files, 4 getdents64.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{NAMES, Poller, of_node};
use crate::{
    config::fd::FdConfig,
    enrich::{cgroup::PidsHierarchy, read},
    event::{Body, BootNs, Context, Event, Fact, FdRound, NodeFiles, ProcessFds},
    scarce,
};

pub(crate) mod kinds;
pub(crate) mod process;
mod sockets;

/// Processes looked at in a round; the next round begins with the first that was left out.
const MOST_PROCESSES: usize = 32_768;
/// Fds from which on a process becomes a fact: a leak of sockets is held against its limit early.
const TOLD_OF: u64 = 16;
/// Processes looked at closely in a round, those with the most fds first.
const MOST_SUSPECTS: usize = 32;
/// Time after which a round begins nothing more.
const LONGEST: Duration = Duration::from_secs(5);

/// Looks at the fds of all processes.
pub struct FdPoller {
    proc: PathBuf,
    every: Duration,
    breakdown_at: u64,
    /// Whether fds need not be counted one by one.
    sized: bool,
    most_processes: usize,
    hierarchy: Option<PidsHierarchy>,
    /// The first process that the last round left out.
    resume: u32,
    /// `/proc/sys/fs/file-nr`, open all the time: no fd is needed to see that there are none left.
    file_nr: Option<File>,
}

impl FdPoller {
    /// A poller of this node.
    #[must_use]
    pub fn new(config: &FdConfig) -> Self {
        Self {
            proc: "/proc".into(),
            every: Duration::from_nanos(config.poll.ns()),
            breakdown_at: config.breakdown_at as u64,
            sized: process::fds_are_sized(Path::new("/proc")),
            most_processes: MOST_PROCESSES,
            hierarchy: PidsHierarchy::find(),
            resume: 0,
            file_nr: File::open("/proc/sys/fs/file-nr").ok(),
        }
    }

    /// Counts the fds of as many processes as there is room and time for, and returns how many were
    /// looked at and left out.
    fn count_all(&mut self, at: BootNs, until: Instant, facts: &mut Vec<Event>) -> (u64, u64) {
        let pids = self.pids();
        let (mut looked_at, mut refused) = (0, 0);
        for pid in &pids {
            if looked_at >= self.most_processes || Instant::now() > until {
                self.resume = *pid;
                break;
            }
            looked_at += 1;
            let (told, want) = scarce::watch(|| self.process(at, *pid));
            match want {
                None => facts.extend(told),
                Some(_) => refused += 1,
            }
        }
        ((looked_at - refused) as u64, (pids.len() - looked_at + refused) as u64)
    }

    /// All processes, in the order they have their turn.
    fn pids(&self) -> Vec<u32> {
        let Ok(entries) = scarce::noted(fs::read_dir(&self.proc)) else { return Vec::new() };
        let mut pids: Vec<u32> =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        let turn = pids.partition_point(|pid| *pid < self.resume);
        pids.rotate_left(turn);
        pids
    }

    /// What there is to say of a process; nothing when it has few fds, or is gone meanwhile.
    fn process(&self, at: BootNs, pid: u32) -> Option<Event> {
        let directory = self.proc.join(pid.to_string());
        let open = process::open_fds(&directory, self.sized).filter(|open| *open >= TOLD_OF)?;
        let stat = process::stat(&directory)?;
        let limit = process::soft_limit(&directory);
        let context = Context { at, pid, tid: pid, comm: stat.comm, ..Context::default() };
        let fds = ProcessFds { start: stat.start, open, limit, kinds: None };
        Some(Event::polled(context, Fact::ProcessFds(fds)))
    }

    fn is_suspect(&self, fds: &ProcessFds) -> bool {
        fds.open >= self.breakdown_at || fds.limit.is_some_and(|limit| fds.open >= limit / 2)
    }

    /// Tells the fds of suspects apart; returns how many found no room or time.
    fn break_down(&self, until: Instant, facts: &mut [Event]) -> u64 {
        let mut suspects: Vec<(&mut Context, &mut ProcessFds)> = facts
            .iter_mut()
            .filter_map(|event| match &mut event.body {
                Body::Polled(Fact::ProcessFds(fds)) if self.is_suspect(fds) => {
                    Some((&mut event.context, fds))
                }
                _ => None,
            })
            .collect();
        suspects.sort_unstable_by_key(|(_, fds)| std::cmp::Reverse(fds.open));
        let mut done = 0;
        for (context, fds) in suspects.iter_mut().take(MOST_SUSPECTS) {
            if Instant::now() > until {
                break;
            }
            let directory = self.proc.join(context.pid.to_string());
            fds.kinds = scarce::whole(|| kinds::of(&directory, fds.open));
            context.cgroup =
                self.hierarchy.as_ref().and_then(|hierarchy| hierarchy.of_process(context.pid));
            done += 1;
        }
        suspects.len() as u64 - done
    }
}

impl Poller for FdPoller {
    fn name(&self) -> &'static str {
        NAMES[2]
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn look(&mut self, at: BootNs, facts: &mut Vec<Event>) {
        let until = Instant::now() + LONGEST;
        let mut own = Vec::new();
        let ((processes, left_out), refused) =
            scarce::watch(|| self.count_all(at, until, &mut own));
        // A list of processes that cannot be had leaves out at least one.
        let left_out = left_out.max(u64::from(refused.is_some()));
        let not_told_apart = self.break_down(until, &mut own);
        facts.append(&mut own);
        let files = self.file_nr.as_ref().and_then(node_files);
        let round = FdRound { files, processes, left_out, not_told_apart };
        facts.push(of_node(at, Fact::FdRound(round)));
    }
}

/// Open files of the node: allocated, 0 and the most, in /proc/sys/fs/file-nr of proc_sys_fs(5).
fn node_files(file_nr: &File) -> Option<NodeFiles> {
    let text = read::again(file_nr)?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let allocated = numbers.next()?.ok()?;
    Some(NodeFiles { allocated, max: numbers.nth(1)?.ok()? })
}

#[cfg(test)]
mod tests;
