//! /proc/PID: what is still to be had of a process. Every answer may be "gone".

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{super::read, cmdline};
use crate::{event::BootNs, scarce};

/// Longest file of /proc that is read (bytes).
const LONGEST: usize = 16_384;

/// Beginning of a command line that is read (bytes).
const CMDLINE: usize = 4_096;

/// A hundredth of a second, in which /proc tells times (`USER_HZ`, time(7)) (ns).
const TICK: BootNs = 10_000_000;

/// The parent of all kernel threads, `rest_init()` in init/main.c: always the second process of the
/// initial pid namespace, always in the initial network namespace.
pub const KTHREADD: u32 = 2;

/// Processes listed at once, as many as 32-bit kernels have pids; more are left out.
const MOST: usize = 32_768;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is no such process any more.
    Gone,
    /// There may be, but it cannot be read.
    Unreadable,
}

impl From<io::Error> for Absent {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Self::Gone,
            _ => Self::Unreadable,
        }
    }
}

/// What /proc/PID/stat says (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the main thread.
    pub comm: String,
    /// It has ended and nobody has taken note yet.
    pub zombie: bool,
    /// Process id of the parent; `None` for a child of the kernel.
    pub parent: Option<u32>,
    /// When it started, rounded down to a hundredth of a second (ns since boot).
    pub started: BootNs,
}

/// A /proc of the initial pid namespace: the kernel side tells pids of that one.
pub struct Proc {
    root: Option<PathBuf>,
}

impl Proc {
    /// The one of the node whose root is mounted at `host_root`, else the agent's own. When that is
    /// of another pid namespace, nothing is known of any process.
    #[must_use]
    pub fn find(host_root: &Path) -> Self {
        let initial = |root: &Path| {
            let comm = read::beginning(&root.join(format!("{KTHREADD}/comm")), LONGEST);
            comm.is_ok_and(|comm| comm == b"kthreadd\n")
        };
        let candidates = [host_root.join("proc"), PathBuf::from("/proc")];
        Self { root: candidates.into_iter().find(|root| initial(root)) }
    }

    /// None: nothing is known of any process.
    #[must_use]
    pub fn absent() -> Self {
        Self { root: None }
    }

    /// The one at a path.
    #[cfg(test)]
    pub fn at(root: &Path) -> Self {
        Self { root: Some(root.into()) }
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.root.is_some()
    }

    /// State, name, parent and start.
    ///
    /// # Errors
    /// When it is gone or cannot be read.
    pub fn stat(&self, pid: u32) -> Result<Stat, Absent> {
        let bytes = read::beginning(&self.file(pid, "stat")?, LONGEST)?;
        stat_in(&bytes).ok_or(Absent::Unreadable)
    }

    /// Path of the executable.
    #[must_use]
    pub fn exe(&self, pid: u32) -> Option<String> {
        let path = fs::read_link(self.file(pid, "exe").ok()?).ok()?;
        Some(path.to_string_lossy().into_owned())
    }

    /// Its arguments, without secrets.
    #[must_use]
    pub fn cmdline(&self, pid: u32) -> Option<String> {
        cmdline::shown(&read::beginning(&self.file(pid, "cmdline").ok()?, CMDLINE).ok()?)
    }

    /// The text of /proc/PID/cgroup (cgroups(7)).
    #[must_use]
    pub fn cgroups(&self, pid: u32) -> Option<Vec<u8>> {
        read::beginning(&self.file(pid, "cgroup").ok()?, LONGEST).ok()
    }

    /// Inode number of the network namespace of its main thread.
    #[must_use]
    pub fn netns(&self, pid: u32) -> Option<u32> {
        let link = fs::read_link(self.file(pid, "ns/net").ok()?).ok()?;
        link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
    }

    /// The processes there are, in no order.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let entries = self.root.as_ref().and_then(|root| scarce::noted(fs::read_dir(root)).ok());
        let names = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name()));
        names.filter_map(|name| name.to_str()?.parse().ok()).take(MOST).collect()
    }

    fn file(&self, pid: u32, name: &str) -> Result<PathBuf, Absent> {
        let root = self.root.as_ref().ok_or(Absent::Unreadable)?;
        Ok(root.join(format!("{pid}/{name}")))
    }
}

/// The name may hold spaces and brackets, so the fields count from its last bracket: the third is
/// the state, the fourth the parent, the 22nd the start.
pub(crate) fn stat_in(stat: &[u8]) -> Option<Stat> {
    let begins = stat.iter().position(|byte| *byte == b'(')? + 1;
    let ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(ends + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let ticks: u64 = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        comm: String::from_utf8_lossy(stat.get(begins..ends)?).into_owned(),
        zombie: matches!(state, "Z" | "X"),
        parent: Some(parent).filter(|parent| *parent != 0),
        started: ticks.saturating_mul(TICK),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{enrich::testing::Tree, findings::clock::boot_now};

    #[test]
    fn stat_survives_hostile_names() {
        let zeros = "0 ".repeat(17);
        let read = |head: &[u8]| {
            let line = [head, b" 7 ", zeros.as_bytes(), b"250 1 2"].concat();
            stat_in(&line).map(|stat| (stat.comm, stat.parent, stat.started, stat.zombie))
        };
        let expected = |comm: &str, zombie| Some((comm.into(), Some(7), 250 * TICK, zombie));
        assert_eq!(read(b"12 (sh) S"), expected("sh", false));
        assert_eq!(read(b"12 (sh) Z"), expected("sh", true));
        assert_eq!(read(b"12 (a) R 1 (b) S"), expected("a) R 1 (b", false));
        assert_eq!(read(b"12 (\xff\n) ) S"), expected("\u{fffd}\n) ", false));
        for text in ["", "12 (sh", "12 sh) S", "12 (sh)", "12 (sh) S 7 1 2", ")("] {
            assert_eq!(stat_in(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn knows_itself_and_not_the_dead() {
        let proc = Proc { root: Some("/proc".into()) };
        let own = proc.stat(std::process::id()).unwrap();
        assert!(own.started <= boot_now() && own.parent.is_some() && !own.zombie);
        assert!(proc.exe(std::process::id()).is_some());
        assert!(proc.cmdline(std::process::id()).is_some());
        assert!(proc.netns(std::process::id()).is_some());
        assert!(proc.pids().contains(&std::process::id()));
        assert_eq!(proc.stat(0x7fff_ffff), Err(Absent::Gone));
        let nowhere = Proc::find(Path::new("/nonexistent"));
        assert!(nowhere.root.is_none_or(|root| root == Path::new("/proc")));
    }

    #[test]
    fn what_cannot_be_read_is_not_gone() {
        let tree = Tree::new("unreadable");
        tree.directory("7/stat");
        tree.file("8/stat", "nonsense");
        assert_eq!(tree.proc().stat(7), Err(Absent::Unreadable));
        assert_eq!(tree.proc().stat(8), Err(Absent::Unreadable));
        assert_eq!(tree.proc().stat(9), Err(Absent::Gone));
        assert_eq!(Proc { root: None }.stat(1), Err(Absent::Unreadable));
    }

    proptest! {
        #[test]
        fn never_panics_on_any_stat(bytes in any::<Vec<u8>>()) {
            let _ = stat_in(&bytes);
        }
    }
}
