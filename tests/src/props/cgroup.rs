//! A cgroup with a limit on its tasks, on whichever hierarchy has the pids controller.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::unique;

/// How long killed tasks may take to leave.
const EMPTY_WITHIN: Duration = Duration::from_secs(30);

/// A cgroup with `pids.max` set.
pub struct PidsCgroup {
    path: PathBuf,
    name: String,
}

impl PidsCgroup {
    /// Creates one that holds at most `max` tasks.
    pub fn create(max: u32) -> Result<Self> {
        let mounts =
            fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        let root = pids_root(&mounts)?;
        let name = unique("nodeprobe-");
        let path = root.join(&name);
        fs::create_dir(&path)
            .with_context(|| format!("cannot create cgroup {}", path.display()))?;
        let cgroup = Self { path, name };
        write(&cgroup.path.join("pids.max"), &max.to_string())?;
        Ok(cgroup)
    }

    /// Creates one whose memory can be limited too; `None` where that is another hierarchy's affair.
    pub fn with_memory(max: u32) -> Result<Option<Self>> {
        let mounts =
            fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
        let Some(Hierarchy::V2(root)) = find_hierarchy(&mounts) else { return Ok(None) };
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        if !controllers.split_ascii_whitespace().any(|controller| controller == "memory") {
            return Ok(None);
        }
        write(&root.join("cgroup.subtree_control"), "+memory")?;
        Self::create(max).map(Some)
    }

    /// Whether clone3 can start tasks in cgroups like this: on v2 only.
    #[must_use]
    pub fn is_v2(&self) -> bool {
        self.path.join("cgroup.controllers").exists()
    }

    /// Creates one below it, without a limit of its own.
    pub fn child(&self, name: impl AsRef<OsStr>) -> Result<Self> {
        let name = name.as_ref();
        let control = self.path.join("cgroup.subtree_control");
        // cgroup v1 has every controller on every level.
        if control.exists() {
            write(&control, "+pids")?;
        }
        let path = self.path.join(name);
        fs::create_dir(&path)
            .with_context(|| format!("cannot create cgroup {}", path.display()))?;
        Ok(Self { path, name: name.to_string_lossy().into_owned() })
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last component of its path, as the agent shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn tasks(&self) -> Vec<Pid> {
        let listed = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
    }

    fn remove(&self) -> Result<()> {
        let deadline = Instant::now() + EMPTY_WITHIN;
        loop {
            for task in self.tasks() {
                // It may have ended by itself since it was listed.
                let _ = kill_process(task, Signal::KILL);
            }
            match fs::remove_dir(&self.path) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error)
                        .with_context(|| format!("cannot remove {}", self.path.display()));
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for PidsCgroup {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("scenario: left behind: {error:#}");
        }
    }
}

/// Where the hierarchy of the pids controller is mounted.
pub fn pids_mount() -> Result<PathBuf> {
    let mounts =
        fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    match find_hierarchy(&mounts) {
        Some(Hierarchy::V1(root) | Hierarchy::V2(root)) => Ok(root),
        None => bail!("no cgroup hierarchy is mounted: mount cgroup2 on /sys/fs/cgroup first"),
    }
}

/// Where cgroups with a `pids.max` can be made.
fn pids_root(mounts: &str) -> Result<PathBuf> {
    match find_hierarchy(mounts) {
        Some(Hierarchy::V1(root)) => Ok(root),
        Some(Hierarchy::V2(root)) => {
            write(&root.join("cgroup.subtree_control"), "+pids")?;
            Ok(root)
        }
        None => bail!("no cgroup hierarchy is mounted: mount cgroup2 on /sys/fs/cgroup first"),
    }
}

/// The kind of hierarchy the pids controller is on, and its mount point.
#[derive(Debug, Eq, PartialEq)]
enum Hierarchy {
    V1(PathBuf),
    V2(PathBuf),
}

/// A controller is on one hierarchy only: v1 where one claims it, else v2.
fn find_hierarchy(mounts: &str) -> Option<Hierarchy> {
    let mounts: Vec<Vec<&str>> = mounts.lines().map(|line| line.split(' ').collect()).collect();
    let v1 = mounts.iter().find_map(|fields| match fields[..] {
        [_, point, "cgroup", options, ..] if options.split(',').any(|o| o == "pids") => {
            Some(Hierarchy::V1(point.into()))
        }
        _ => None,
    });
    v1.or_else(|| {
        mounts.iter().find_map(|fields| match fields[..] {
            [_, point, "cgroup2", ..] => Some(Hierarchy::V2(point.into())),
            _ => None,
        })
    })
}

fn write(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("cannot write {value} to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
    const HYBRID: &str = "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
                          cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";

    #[test]
    fn the_pids_controller_is_found_on_either_hierarchy() {
        assert_eq!(find_hierarchy(V2), Some(Hierarchy::V2("/sys/fs/cgroup".into())));
        assert_eq!(find_hierarchy(HYBRID), Some(Hierarchy::V1("/sys/fs/cgroup/pids".into())));
        assert_eq!(find_hierarchy("proc /proc proc rw 0 0\n"), None);
    }
}
