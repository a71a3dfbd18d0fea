//! A cgroup in which nothing can be born.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::ActError;
use crate::{
    enrich::cgroup::{PidsHierarchy, children},
    proof::own::chance,
};

/// Tries to remove it, and time between two: a thread that leaves is counted for a moment longer.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// An empty cgroup with `pids.max` = 0, right below the root of the hierarchy; removed when dropped.
pub struct CappedCgroup {
    path: PathBuf,
    /// The root's `cgroup.subtree_control`, when the pids controller was switched on for this.
    switched_on: Option<PathBuf>,
}

impl CappedCgroup {
    /// Makes one.
    ///
    /// # Errors
    /// When cgroupfs is read-only, or has no pids controller to give.
    pub fn create(hierarchy: &PidsHierarchy) -> Result<Self, ActError> {
        let root = hierarchy.mount();
        let path = root.join(format!("nodeprobe-selftest-{:06x}", chance()));
        fs::create_dir(&path).map_err(|source| ActError::Cgroup { path: path.clone(), source })?;
        let mut cgroup = Self { path, switched_on: None };
        if !hierarchy.is_v1() {
            cgroup.switch_on(root)?;
        }
        cgroup.write("pids.max", "0")?;
        Ok(cgroup)
    }

    /// systemd has done so on any node; where nobody did, it is undone.
    fn switch_on(&mut self, root: &Path) -> Result<(), ActError> {
        let control = root.join("cgroup.subtree_control");
        let enabled = fs::read_to_string(&control).unwrap_or_default();
        if enabled.split_ascii_whitespace().any(|controller| controller == "pids") {
            return Ok(());
        }
        let refused = |source| ActError::NoPidsController { path: root.to_owned(), source };
        fs::write(&control, "+pids").map_err(refused)?;
        self.switched_on = Some(control);
        Ok(())
    }

    /// Its directory, for clone3(2).
    ///
    /// # Errors
    /// When it is gone.
    pub fn open(&self) -> Result<File, ActError> {
        File::open(&self.path).map_err(|source| self.error(&self.path, source))
    }

    /// Moves this thread in, until the guard is dropped (cgroup v1: threads of one process may be in
    /// different groups there).
    ///
    /// # Errors
    /// When the kernel does not let it.
    pub fn enter(&self, hierarchy: &PidsHierarchy) -> Result<Inside, ActError> {
        let root = hierarchy.mount().to_owned();
        let own = fs::read("/proc/thread-self/cgroup").ok();
        let own = own.and_then(|text| hierarchy.path_in(&text)).unwrap_or_default();
        let before = root.join(own.trim_start_matches('/')).join("tasks");
        self.write("tasks", "0")?;
        Ok(Inside { before, root: root.join("tasks") })
    }

    fn write(&self, file: &str, value: &str) -> Result<(), ActError> {
        let file = self.path.join(file);
        fs::write(&file, value).map_err(|source| self.error(&file, source))
    }

    fn error(&self, path: &Path, source: io::Error) -> ActError {
        ActError::Cgroup { path: path.to_owned(), source }
    }
}

impl Drop for CappedCgroup {
    fn drop(&mut self) {
        let removed = (0..TRIES).any(|_| match fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(_) => {
                thread::sleep(PAUSE);
                false
            }
        });
        if !removed {
            crate::cli::say(&format!("nodeprobe: left behind: {}", self.path.display()));
        }
        // Somebody else may live by it now.
        let others =
            |control: &Path| control.parent().is_none_or(|root| !children(root).is_empty());
        if let Some(control) = self.switched_on.take().filter(|control| !others(control)) {
            let _ = fs::write(control, "-pids");
        }
    }
}

/// This thread is in another cgroup than it was.
pub struct Inside {
    before: PathBuf,
    root: PathBuf,
}

impl Drop for Inside {
    fn drop(&mut self) {
        // "0" is the writer itself. The root is there always, and the thread ends soon.
        if fs::write(&self.before, "0").is_err() {
            let _ = fs::write(&self.root, "0");
        }
    }
}
