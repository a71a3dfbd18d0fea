//! The hierarchy of the pids controller: paths of cgroup ids.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

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
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (mount, v1) = pids_mount(&mounts)?;
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
    /// opens by that directly; no walk. Needs `CAP_DAC_READ_SEARCH`.
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
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = process_path(&text, self.v1)?;
        let directory = self.mount.join(path.strip_prefix('/')?);
        // The id of a cgroup is the inode of its directory.
        Some(fs::metadata(directory).ok()?.ino())
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
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just returned this fd and nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// The number in a file of cgroupfs; `None` for `max`, for nonsense and for a file that is not there.
#[must_use]
pub fn number_in(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim_ascii_end().parse().ok()
}

/// Directories of the groups right below a group; none where it is gone.
#[must_use]
pub fn children(group: &Path) -> Vec<PathBuf> {
    // kernfs counts a link for each directory below, besides the two every directory has.
    if fs::metadata(group).is_ok_and(|metadata| metadata.nlink() == 2) {
        return Vec::new();
    }
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// Mount point of the pids hierarchy in a mountinfo text (proc_pid_mountinfo(5)), and whether it is v1.
fn pids_mount(mounts: &str) -> Option<(PathBuf, bool)> {
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
fn process_path(text: &str, v1: bool) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let ours = match v1 {
            true => controllers.split(',').any(|controller| controller == "pids"),
            false => controllers.is_empty(),
        };
        ours.then_some(path)
    })
}

/// mountinfo writes space, tab, newline and backslash in octal.
fn unescape(text: &str) -> PathBuf {
    PathBuf::from(
        text.replace("\\040", " ")
            .replace("\\011", "\t")
            .replace("\\012", "\n")
            .replace("\\134", "\\"),
    )
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
        assert_eq!(process_path(hybrid, true), Some("/a:b/c"));
        assert_eq!(process_path(hybrid, false), Some("/user.slice"));
        for text in ["", "\n", "::", "0:", "5:pid:/x"] {
            assert_eq!(process_path(text, true), None, "{text:?}");
        }
    }

    #[test]
    fn survives_what_is_not_mountinfo() {
        for text in ["", "\n", " - ", "a b c - cgroup", "1 2 3 4 - cgroup2 x", "\u{0} - - -"] {
            assert_eq!(pids_mount(text), None, "{text:?}");
        }
    }
}
