//! Every network namespace that can be reached: those of processes, and those that a file system
//! mount keeps alive, as `ip netns` and container runtimes do.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustc_hash::FxHashSet;

use super::super::number;

/// Namespaces looked at; more are misses.
const MOST: usize = 4_096;

/// Files of namespaces, each namespace once; opened one at a time.
pub struct Namespaces {
    known: FxHashSet<u32>,
    files: VecDeque<PathBuf>,
    misses: u64,
}

impl Default for Namespaces {
    fn default() -> Self {
        // The host's mounts, not those of a mount namespace of the agent's own.
        let mounts = mounts(Path::new("/proc/1/mountinfo"), Path::new("/proc/1/root"));
        Self::new(processes(Path::new("/proc")), mounts)
    }
}

impl Namespaces {
    fn new(processes: io::Result<Vec<PathBuf>>, mounts: io::Result<Vec<PathBuf>>) -> Self {
        let misses = u64::from(processes.is_err()) + u64::from(mounts.is_err());
        let files = [processes, mounts].into_iter().flatten().flatten().collect();
        Self { known: FxHashSet::default(), files, misses }
    }

    /// The inode number of the namespace that this thread is in.
    ///
    /// # Errors
    /// When /proc does not tell.
    pub fn own(&mut self) -> io::Result<u32> {
        let inode = inode(&fs::metadata("/proc/thread-self/ns/net")?);
        self.known.insert(inode);
        Ok(inode)
    }

    /// The next one, with its inode number.
    pub fn next(&mut self) -> Option<io::Result<(u32, File)>> {
        while let Some(file) = self.files.pop_front() {
            // What a process's link says costs no open.
            let link = fs::read_link(&file).ok();
            let linked = link.as_ref().and_then(|link| number(link.to_str()?, "net"));
            if linked.is_some_and(|inode: u32| self.known.contains(&inode)) {
                continue;
            }
            let opened = File::open(&file).and_then(|file| Ok((inode(&file.metadata()?), file)));
            match opened {
                Ok((inode, _)) if self.known.contains(&inode) => {}
                Ok(_) if self.known.len() == MOST => self.misses += 1,
                Ok((inode, file)) => {
                    self.known.insert(inode);
                    return Some(Ok((inode, file)));
                }
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }

    /// What could not be listed, or had no room.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }
}

/// The kernel's inode numbers of namespaces fit (`ns_common.inum`).
fn inode(file: &fs::Metadata) -> u32 {
    u32::try_from(file.ino()).unwrap_or(0)
}

fn processes(proc: &Path) -> io::Result<Vec<PathBuf>> {
    let is_pid = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
    let entries = fs::read_dir(proc)?.filter_map(Result::ok);
    Ok(entries.filter(|e| is_pid(&e.file_name())).map(|e| e.path().join("ns/net")).collect())
}

/// Where network namespaces are mounted, below `root`.
fn mounts(mountinfo: &Path, root: &Path) -> io::Result<Vec<PathBuf>> {
    let mounts = fs::read(mountinfo)?;
    let points = mounts.split(|byte| *byte == b'\n').filter_map(mount_point);
    Ok(points.map(|point| root.join(point.strip_prefix("/").unwrap_or(&point))).collect())
}

/// The mount point in a line of proc_pid_mountinfo(5), if a network namespace is mounted there: its
/// root is then `net:[4026532201]`.
pub(crate) fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let mut columns = line.split(|byte| *byte == b' ').skip(3);
    let root = str::from_utf8(columns.next()?).ok()?;
    number::<u32>(root, "net")?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(unescaped(columns.next()?))))
}

/// Spaces and the like are written as `\040`.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let (mut rest, mut plain) = (path, Vec::with_capacity(path.len()));
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match escaped.filter(|_| *first == b'\\') {
            Some(byte) => {
                plain.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_namespaces_are_found_in_mountinfo() {
        let line =
            |root: &str, at: &str| format!("421 28 0:4 {root} {at} rw shared:231 - nsfs nsfs rw");
        let found = |root, at| mount_point(line(root, at).as_bytes());
        assert_eq!(found("net:[4026532201]", "/run/netns/a"), Some("/run/netns/a".into()));
        assert_eq!(found("net:[4026532201]", r"/run/a\040b"), Some("/run/a b".into()));
        assert_eq!(found("mnt:[4026532201]", "/run/snapd/ns/lxd.mnt"), None);
        assert_eq!(found("/", "/"), None);
        assert_eq!(mount_point(b""), None);
        assert_eq!(mount_point(b"1 2 3 net:[7]"), None);
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescaped(br"a\04"), br"a\04");
        assert_eq!(unescaped(br"\134040\011"), b"\\040\t");
        assert_eq!(unescaped(br"\9990"), br"\9990");
    }

    #[test]
    fn each_namespace_comes_once() {
        let own = PathBuf::from("/proc/self/ns/net");
        let files = Ok(vec![own.clone(), "/proc/thread-self/ns/net".into(), "/nonexistent".into()]);
        let mut namespaces = Namespaces::new(files, Err(io::ErrorKind::NotFound.into()));
        let (inode, _) = namespaces.next().unwrap().unwrap();
        assert_eq!(inode, namespaces.own().unwrap());
        assert!(namespaces.next().unwrap().is_err());
        assert!(namespaces.next().is_none());
        assert_eq!(namespaces.misses(), 1);
    }
}
