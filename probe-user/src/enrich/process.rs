//! /proc/PID: what is still to be had of a process. Every answer may be "gone".

use std::fs;

/// Longest file of /proc that is read (bytes).
const LONGEST: usize = 4_096;

/// Path of the executable.
#[must_use]
pub fn exe(pid: u32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// Name of the main thread.
#[must_use]
pub fn comm(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned())
}

/// Process id of the parent; `None` for a child of the kernel.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parent_in(bytes.get(..LONGEST.min(bytes.len()))?).filter(|parent| *parent != 0)
}

/// Field 4 of /proc/PID/stat (proc_pid_stat(5)). The name before it may hold spaces and brackets, so
/// the fields count from its last bracket.
fn parent_in(stat: &[u8]) -> Option<u32> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_ends + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_survives_hostile_names() {
        assert_eq!(parent_in(b"12 (sh) S 7 12 12"), Some(7));
        assert_eq!(parent_in(b"12 (a) R 1 (b) S 9 1"), Some(9));
        assert_eq!(parent_in(b"12 (\xff\n) ) S 3 1"), Some(3));
        assert_eq!(parent_in(b"12 (sh"), None);
        assert_eq!(parent_in(b""), None);
    }

    #[test]
    fn knows_itself_and_not_the_dead() {
        assert!(exe(std::process::id()).is_some());
        assert!(comm(std::process::id()).is_some());
        assert_eq!(exe(0x7fff_ffff), None);
    }
}
