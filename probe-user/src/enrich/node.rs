//! Limits of the whole node on the number of tasks.

use std::{fs::File, io};

use super::{read, subject::NodeLimit};
use crate::{event::NodeTasks, scarce};

/// Pids below this are not given out again once passed, `RESERVED_PIDS` in include/linux/threads.h.
const RESERVED_PIDS: u64 = 300;

/// The limit on tasks that this node has all but reached.
#[must_use]
pub fn reached_limit() -> Option<NodeLimit> {
    reached(&NodeFiles::open().ok()?.tasks()?)
}

/// The files that tell tasks of this node and the limits on them.
pub struct NodeFiles {
    loadavg: File,
    threads_max: File,
    pid_max: File,
}

impl NodeFiles {
    /// Opens them.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open() -> io::Result<Self> {
        let open = |path| scarce::noted(File::open(path));
        Ok(Self {
            loadavg: open("/proc/loadavg")?,
            threads_max: open("/proc/sys/kernel/threads-max")?,
            pid_max: open("/proc/sys/kernel/pid_max")?,
        })
    }

    /// What they say now.
    #[must_use]
    pub fn tasks(&self) -> Option<NodeTasks> {
        let Self { loadavg, threads_max, pid_max } = self;
        parse(&read::again(loadavg)?, &read::again(threads_max)?, &read::again(pid_max)?)
    }
}

pub(crate) fn parse(loadavg: &str, threads_max: &str, pid_max: &str) -> Option<NodeTasks> {
    Some(NodeTasks {
        // Behind the slash of the fourth field (proc_loadavg(5)).
        current: loadavg.split_ascii_whitespace().nth(3)?.split_once('/')?.1.parse().ok()?,
        threads_max: threads_max.trim().parse().ok()?,
        pid_max: pid_max.trim().parse().ok()?,
    })
}

fn reached(tasks: &NodeTasks) -> Option<NodeLimit> {
    let NodeTasks { current, threads_max, pid_max } = *tasks;
    let limits =
        [("kernel.threads-max", threads_max, 0), ("kernel.pid_max", pid_max, RESERVED_PIDS)];
    limits.into_iter().find_map(|(name, limit, reserved)| {
        // Tasks end between the refusal and this look: a hundredth of grace.
        let reached = current.saturating_add(reserved) >= limit - limit / 100;
        reached.then_some(NodeLimit { name, current, limit })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_limit_that_is_reached() {
        let load = "0.00 0.01 0.05 2/9950 12345\n";
        let name = |threads_max, pid_max| {
            reached(&parse(load, threads_max, pid_max)?).map(|limit| limit.name)
        };
        assert_eq!(name("10000\n", "4194304\n"), Some("kernel.threads-max"));
        assert_eq!(name("96365\n", "10200\n"), Some("kernel.pid_max"));
        assert_eq!(name("96365\n", "4194304\n"), None);
        assert_eq!(parse(load, "", "x"), None);
        assert_eq!(parse("garbage", "1", "1"), None);
    }
}
