//! The cheap questions about one process. Every answer may be "gone".

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use probe_common::wire::COMM_LEN;

use crate::{event::Comm, scarce};

/// Longest file that is read (bytes); both are shorter, and the kernel hands such a one over in one
/// read(2).
const LONGEST: usize = 4_096;

/// What tells a process from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub comm: Comm,
    /// Clock ticks since boot.
    pub start: u64,
}

/// Whether the size of /proc/PID/fd is the number of its entries: from Linux 6.2 on (commit
/// f1f1f2569901). Before it is 0, which no process has that asks.
#[must_use]
pub fn fds_are_sized(proc: &Path) -> bool {
    fs::metadata(proc.join("self/fd")).is_ok_and(|directory| directory.len() > 0)
}

/// How many fds a process has open.
#[must_use]
pub fn open_fds(process: &Path, sized: bool) -> Option<u64> {
    let directory = process.join("fd");
    if sized {
        Some(fs::metadata(directory).ok()?.len())
    } else {
        Some(scarce::noted(fs::read_dir(directory)).ok()?.count() as u64)
    }
}

/// Name and start of a process.
#[must_use]
pub fn stat(process: &Path) -> Option<Stat> {
    let mut text = [0; LONGEST];
    stat_in(read(&process.join("stat"), &mut text)?)
}

/// Soft `RLIMIT_NOFILE` of a process; `None` when unlimited, too. prlimit(2) would take one syscall
/// instead of three, but needs `CAP_SYS_RESOURCE` for others' processes.
#[must_use]
pub fn soft_limit(process: &Path) -> Option<u64> {
    let mut text = [0; LONGEST];
    soft_limit_in(read(&process.join("limits"), &mut text)?)
}

fn read<'a>(path: &Path, into: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let length = scarce::noted(File::open(path)).ok()?.read(into).ok()?;
    into.get(..length)
}

/// Fields 2 and 22 of proc_pid_stat(5). The name may hold spaces and brackets, so the fields behind
/// it count from its last bracket.
pub(crate) fn stat_in(text: &[u8]) -> Option<Stat> {
    let begins = text.iter().position(|byte| *byte == b'(')?;
    let ends = text.iter().rposition(|byte| *byte == b')')?;
    let mut comm = [0; COMM_LEN];
    let name = text.get(begins + 1..ends)?;
    comm.iter_mut().take(COMM_LEN - 1).zip(name).for_each(|(to, from)| *to = *from);
    let rest = std::str::from_utf8(text.get(ends + 1..)?).ok()?;
    let start = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(Stat { comm: Comm(comm), start })
}

/// The line `Max open files  SOFT  HARD  files` of proc_pid_limits(5).
pub(crate) fn soft_limit_in(text: &[u8]) -> Option<u64> {
    let line =
        text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Max open files"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_name_and_start() {
        let text = b"7 (a) R 1 (b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22424 23 24";
        let stat = stat_in(text).unwrap();
        assert_eq!((stat.comm.bytes(), stat.start), (&b"a) R 1 (b"[..], 22_424));
        for broken in [&b""[..], b"7 (sh", b"7 )(", b"7 (sh) S 1 2", b"7 (\xff\n) S \xff"] {
            assert_eq!(stat_in(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let text = b"Limit  Soft Limit  Hard Limit  Units\n\
                     Max processes             96365      96365      processes\n\
                     Max open files            1024       1048576    files     \n";
        assert_eq!(soft_limit_in(text), Some(1_024));
        assert_eq!(soft_limit_in(b"Max open files  unlimited  unlimited files\n"), None);
        assert_eq!(soft_limit_in(b"Max open files"), None);
    }

    #[test]
    fn knows_itself_and_not_the_dead() {
        let own = Path::new("/proc/self");
        assert!(open_fds(own, false).unwrap() >= 3);
        if fds_are_sized(Path::new("/proc")) {
            assert!(open_fds(own, true).unwrap() >= 3);
        }
        assert!(stat(own).unwrap().start > 0);
        assert!(soft_limit(own).is_some());
        let dead = Path::new("/proc/2147483647");
        assert_eq!((open_fds(dead, true), stat(dead), soft_limit(dead)), (None, None, None));
    }
}
