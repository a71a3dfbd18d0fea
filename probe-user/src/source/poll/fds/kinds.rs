//! What the fds of a process are: from their links in /proc/PID/fd, sockets from the tables of its
//! network namespace.

use std::{borrow::Cow, cmp::Reverse, fs, path::Path};

use rustc_hash::FxHashMap;

use super::sockets;
use crate::{
    event::{FdKind, FdKinds},
    scarce,
};

/// Links read of one process; of more fds a part is looked at, spread evenly.
const MOST_LINKS: u64 = 16_384;
/// Kinds told of a process; the rest is `other`.
const MOST_KINDS: usize = 12;
/// Names and directories kept apart while counting; the rest is `other`, or of no directory.
const MOST_NAMES: usize = 512;

/// What the fds of a process with `open` of them are; `None` when it is gone.
#[must_use]
pub fn of(process: &Path, open: u64) -> Option<FdKinds> {
    let sampled = open.div_ceil(MOST_LINKS).max(1);
    let mut tally = Tally::default();
    let mut sockets = Vec::new();
    let directory = process.join("fd");
    let numbers: Box<dyn Iterator<Item = u64>> = match sampled {
        1 => Box::new(
            scarce::noted(fs::read_dir(&directory))
                .ok()?
                .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()),
        ),
        // The lowest number that is free is given out, so so many are nearly all below this. The
        // kernel would keep an inode for each entry of a directory that is listed.
        _ => Box::new((0..open).filter(|number| is_sampled(*number, sampled))),
    };
    for number in numbers {
        // It may be closed by now.
        let Ok(link) = fs::read_link(directory.join(number.to_string())) else { continue };
        let link = link.to_string_lossy();
        match link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')?.parse().ok()) {
            Some(inode) => sockets.push(inode),
            None => tally.add_link(&link),
        }
    }
    sockets::tell_apart(&process.join("net"), sockets, |kind, count| {
        tally.add(Cow::Borrowed(kind), count);
    });
    Some(FdKinds { kinds: tally.most(sampled), sampled })
}

/// Whether an fd is one of the part that is looked at. Spread by a hash, as every second fd of a
/// leak that opens two things by turns would be of one kind.
fn is_sampled(fd: u64, one_in: u64) -> bool {
    // Fibonacci hashing: 2^64 divided by the golden ratio.
    (fd.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32).is_multiple_of(one_in)
}

/// Counts by kind.
#[derive(Default)]
struct Tally {
    kinds: FxHashMap<Cow<'static, str>, u64>,
    /// Files by whether they are deleted and by directory.
    directories: FxHashMap<(bool, String), u64>,
}

impl Tally {
    fn add(&mut self, kind: Cow<'static, str>, count: u64) {
        let room = self.kinds.len() < MOST_NAMES || self.kinds.contains_key(&kind);
        let kind = if room { kind } else { "other".into() };
        *self.kinds.entry(kind).or_default() += count;
    }

    fn add_link(&mut self, link: &str) {
        let kind = kind_of(link);
        if kind == FILE || kind == DELETED {
            let directory = link.rsplit_once('/').map_or("", |(directory, _)| directory);
            let key = (kind == DELETED, directory.to_owned());
            if self.directories.len() < MOST_NAMES || self.directories.contains_key(&key) {
                *self.directories.entry(key).or_default() += 1;
            }
        }
        self.add(kind, 1);
    }

    /// The kinds, the most first, each that was looked at standing for `sampled`.
    fn most(self, sampled: u64) -> Vec<FdKind> {
        let Self { kinds, directories } = self;
        let directory = |kind: &str| {
            let of_kind = directories.iter().filter(|((deleted, _), _)| match kind {
                FILE => !deleted,
                DELETED => *deleted,
                _ => false,
            });
            let (key, _) = of_kind.max_by_key(|(key, count)| (**count, Reverse(&key.1)))?;
            Some(key.1.clone()).filter(|directory| !directory.is_empty())
        };
        let mut most: Vec<FdKind> = kinds
            .into_iter()
            .map(|(kind, count)| FdKind {
                directory: directory(&kind),
                open: count * sampled,
                kind,
            })
            .collect();
        most.sort_unstable_by(|a, b| (Reverse(a.open), &a.kind).cmp(&(Reverse(b.open), &b.kind)));
        let rest: u64 = most.iter().skip(MOST_KINDS).map(|kind| kind.open).sum();
        most.truncate(MOST_KINDS);
        if rest > 0 {
            most.push(FdKind { kind: "other".into(), open: rest, directory: None });
        }
        most
    }
}

const FILE: &str = "file";
const DELETED: &str = "deleted file";

/// The kind of a link in /proc/PID/fd that is no socket (proc_pid_fd(5)).
pub(crate) fn kind_of(link: &str) -> Cow<'static, str> {
    if let Some(name) = link.strip_prefix("anon_inode:") {
        // `[eventfd]`, `bpf-map`, `kvm-vcpu:3`.
        let name = name.trim_start_matches('[').trim_end_matches(']');
        return name.split(':').next().unwrap_or(name).to_owned().into();
    }
    let named = [("/memfd:", "memfd"), ("/dmabuf:", "dma-buf"), ("/dev/", "device")];
    if let Some((_, kind)) = named.iter().find(|(prefix, _)| link.starts_with(prefix)) {
        return (*kind).into();
    }
    if link.starts_with('/') {
        return if link.ends_with(" (deleted)") { DELETED } else { FILE }.into();
    }
    match link.split_once(":[").map(|(kind, _)| kind) {
        Some("pipe") => "pipe".into(),
        Some("pidfd") => "pidfd".into(),
        // namespaces(7)
        Some("cgroup" | "ipc" | "mnt" | "net" | "pid" | "time" | "user" | "uts") => {
            "namespace".into()
        }
        _ => "other".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_tell_kinds() {
        for (link, kind) in [
            ("anon_inode:bpf-map", "bpf-map"),
            ("anon_inode:[eventfd]", "eventfd"),
            ("anon_inode:inotify", "inotify"),
            ("anon_inode:[pidfd]", "pidfd"),
            ("anon_inode:kvm-vcpu:3", "kvm-vcpu"),
            ("pipe:[77]", "pipe"),
            ("net:[4026531840]", "namespace"),
            ("/memfd:doublemapper (deleted)", "memfd"),
            ("/dev/null", "device"),
            ("/var/log/syslog", "file"),
            ("/var/log/syslog.1 (deleted)", "deleted file"),
            ("", "other"),
            ("nonsense", "other"),
        ] {
            assert_eq!(kind_of(link), kind, "{link}");
        }
    }

    #[test]
    fn files_tell_the_directory_that_most_are_in() {
        let mut tally = Tally::default();
        for link in ["/a/1", "/b/1", "/b/2", "/c/1 (deleted)", "/3", "pipe:[1]"] {
            tally.add_link(link);
        }
        let file = FdKind { kind: FILE.into(), open: 8, directory: Some("/b".into()) };
        let deleted = FdKind { kind: DELETED.into(), open: 2, directory: Some("/c".into()) };
        let pipe = FdKind { kind: "pipe".into(), open: 2, directory: None };
        assert_eq!(tally.most(2), [file, deleted, pipe]);
    }

    #[test]
    fn names_are_bounded() {
        let mut tally = Tally::default();
        (0..10_000).for_each(|n| tally.add_link(&format!("anon_inode:kind{n}")));
        (0..10_000).for_each(|n| tally.add_link(&format!("/{n}/file")));
        assert!(tally.kinds.len() <= MOST_NAMES + 2 && tally.directories.len() <= MOST_NAMES);
        let most = tally.most(1);
        assert_eq!(most.len(), MOST_KINDS + 1);
        assert_eq!(most.iter().map(|kind| kind.open).sum::<u64>(), 20_000);
    }

    #[test]
    fn a_sample_is_even_and_blind_to_turns() {
        for one_in in [1, 2, 3, 26] {
            let odd = (0..100_000).filter(|fd| fd % 2 == 1 && is_sampled(*fd, one_in)).count();
            let even = (0..100_000).filter(|fd| fd % 2 == 0 && is_sampled(*fd, one_in)).count();
            let fair = 50_000 / one_in as usize;
            assert!(
                odd.abs_diff(fair) < 500 && even.abs_diff(fair) < 500,
                "{one_in}: {odd} {even}"
            );
        }
    }
}
