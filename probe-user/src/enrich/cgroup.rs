//! The hierarchy of the pids controller: paths of cgroup ids.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
        },
    },
    path::{Component, Path, PathBuf},
};

use crate::scarce;

/// File handle type of kernfs, `FILEID_KERNFS` in include/linux/exportfs.h.
const FILEID_KERNFS: libc::c_int = 0xfe;

/// The mounted hierarchy that has the pids controller.
pub struct PidsHierarchy {
    mount: PathBuf,
    mount_fd: File,
    v1: bool,
}

/// `struct file_handle` of open_by_handle_at(2) with a kernfs id in it.
#[repr(C)]
struct KernfsHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

impl PidsHierarchy {
    /// Finds it among this process's mounts: cgroup v1 `pids` first (hybrid hosts have both), then
    /// cgroup v2.
    #[must_use]
    pub fn find() -> Option<Self> {
        // One mount point that is not UTF-8 must not hide the others.
        let mounts = fs::read("/proc/self/mountinfo").ok()?;
        let (mount, v1) = pids_mount(&String::from_utf8_lossy(&mounts))?;
        let mount_fd = File::open(&mount).ok()?;
        Some(Self { mount, mount_fd, v1 })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Whether it is a cgroup v1 hierarchy.
    #[must_use]
    pub fn is_v1(&self) -> bool {
        self.v1
    }

    /// Path of a cgroup below the mount point. The id is the inode of its directory, and kernfs
    /// opens by that directly; no walk. Needs `CAP_DAC_READ_SEARCH`. A name may be of any bytes but
    /// a newline (`cgroup_mkdir()` in kernel/cgroup/cgroup.c); what is not UTF-8 is replaced.
    #[must_use]
    pub fn path_of(&self, id: u64) -> Option<String> {
        let directory = self.open(id).ok()?;
        let link = fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd())).ok()?;
        let below = link.strip_prefix(&self.mount).ok()?;
        Some(format!("/{}", below.to_string_lossy()))
    }

    /// Id of the cgroup a process is in now.
    #[must_use]
    pub fn of_process(&self, pid: u32) -> Option<u64> {
        let text = scarce::noted(fs::read(format!("/proc/{pid}/cgroup"))).ok()?;
        let path = Path::new(OsStr::from_bytes(process_path(&text, self.v1)?));
        let below = path.strip_prefix("/").ok()?;
        // Outside the root of this process's cgroup namespace a path begins with `/..`.
        if below.components().any(|component| component == Component::ParentDir) {
            return None;
        }
        // The id of a cgroup is the inode of its directory.
        Some(fs::metadata(self.mount.join(below)).ok()?.ino())
    }

    /// The path in the text of a /proc/PID/cgroup.
    #[must_use]
    pub fn path_in(&self, text: &[u8]) -> Option<String> {
        Some(String::from_utf8_lossy(process_path(text, self.v1)?).into_owned())
    }

    fn open(&self, id: u64) -> io::Result<OwnedFd> {
        let mut handle = KernfsHandle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
        // SAFETY: `handle` has the layout of a file_handle with 8 bytes of id, as `bytes` says.
        let fd = unsafe {
            libc::open_by_handle_at(
                self.mount_fd.as_raw_fd(),
                (&raw mut handle).cast(),
                libc::O_PATH | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            return scarce::noted(Err(io::Error::last_os_error()));
        }
        // SAFETY: the kernel just returned this fd and nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The number in a file of cgroupfs; `None` for `max`, for nonsense and for a file that is not there.
#[must_use]
pub fn number_in(file: &Path) -> Option<u64> {
    scarce::noted(fs::read_to_string(file)).ok()?.trim_ascii_end().parse().ok()
}

/// Directories of the groups right below a group; none where it is gone.
#[must_use]
pub fn children(group: &Path) -> Vec<PathBuf> {
    // kernfs counts a link for each directory below, besides the two every directory has.
    if fs::metadata(group).is_ok_and(|metadata| metadata.nlink() == 2) {
        return Vec::new();
    }
    let entries = scarce::noted(fs::read_dir(group)).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// Mount point of the pids hierarchy in a mountinfo text (proc_pid_mountinfo(5)), and whether it is v1.
pub(crate) fn pids_mount(mounts: &str) -> Option<(PathBuf, bool)> {
    let parsed = mounts.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut filesystem = filesystem.split(' ');
        let kind = filesystem.next()?;
        let options = filesystem.nth(1)?;
        Some((unescape(point), kind, options))
    });
    let mut v2 = None;
    for (point, kind, options) in parsed {
        match kind {
            "cgroup" if options.split(',').any(|option| option == "pids") => {
                return Some((point, true));
            }
            "cgroup2" => v2 = v2.or(Some((point, false))),
            _ => {}
        }
    }
    v2
}

/// The path in a line `ID:CONTROLLERS:PATH` of /proc/PID/cgroup (cgroups(7)): the line with the pids
/// controller on v1, the one without any on v2. A path may hold colons and, once removed, an ending.
pub(crate) fn process_path(text: &[u8], v1: bool) -> Option<&[u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = match v1 {
            true => controllers.split(|byte| *byte == b',').any(|controller| controller == b"pids"),
            false => controllers.is_empty(),
        };
        ours.then_some(path)
    })
}

/// mountinfo writes what would break its lines in octal: space, tab, newline, backslash, hash.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = after.get(if octal.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                          32 23 0:28 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids\n\
                          33 23 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

    #[test]
    fn finds_the_hierarchy_that_has_pids() {
        assert_eq!(pids_mount(V2), Some(("/sys/fs/cgroup".into(), false)));
        assert_eq!(pids_mount(HYBRID), Some(("/sys/fs/cgroup/pids".into(), true)));
        assert_eq!(
            pids_mount("1 2 0:3 / /a\\040b rw - cgroup2 x rw"),
            Some(("/a b".into(), false))
        );
    }

    #[test]
    fn finds_the_path_of_a_process() {
        let hybrid = "5:pids:/a:b/c\n4:cpu,cpuacct:/x\n0::/user.slice\n";
        let path = |text: &str, v1| {
            process_path(text.as_bytes(), v1).map(|path| String::from_utf8_lossy(path).into_owned())
        };
        assert_eq!(path(hybrid, true).as_deref(), Some("/a:b/c"));
        assert_eq!(path(hybrid, false).as_deref(), Some("/user.slice"));
        for text in ["", "\n", "::", "0:", "5:pid:/x"] {
            assert_eq!(path(text, true), None, "{text:?}");
        }
        assert_eq!(process_path(b"0::/\xff\x1b:\xfe\n", false), Some(&b"/\xff\x1b:\xfe"[..]));
    }

    #[test]
    fn undoes_every_escape_once() {
        for (text, expected) in [
            ("/a\\040b\\011\\012\\134\\043", "/a b\t\n\\#"),
            ("/\\134040", "/\\040"),
            ("/\\04", "/\\04"),
            ("/\\999", "/\\999"),
            ("\\", "\\"),
        ] {
            assert_eq!(unescape(text), PathBuf::from(expected), "{text}");
        }
    }

    #[test]
    fn survives_what_is_not_mountinfo() {
        for text in ["", "\n", " - ", "a b c - cgroup", "1 2 3 4 - cgroup2 x", "\u{0} - - -"] {
            assert_eq!(pids_mount(text), None, "{text:?}");
        }
    }
}
