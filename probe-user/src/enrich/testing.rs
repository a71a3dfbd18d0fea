//! A directory that looks like /proc or the root of a node.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use super::{cgroup::PidsHierarchy, process::proc::Proc};

/// A directory of its own, removed when dropped.
pub struct Tree(PathBuf);

impl Tree {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (own, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(format!("nodeprobe-{name}-{own}-{number}"));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }

    pub fn directory(&self, below: &str) {
        fs::create_dir_all(self.path(below)).unwrap();
    }

    pub fn file(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn remove(&self, below: &str) {
        fs::remove_dir_all(self.path(below)).unwrap();
    }

    /// A process: name, parent, start (hundredths of a second), network namespace, cgroup.
    pub fn process(&self, pid: u32, comm: &str, parent: u32, start: u64, netns: u32, cgroup: &str) {
        let stat = format!("{pid} ({comm}) S {parent} {}{start} 0 0\n", "0 ".repeat(17));
        self.file(&format!("{pid}/stat"), stat);
        self.file(&format!("{pid}/cmdline"), format!("{comm}\0--token=abc\0-v\0"));
        self.file(&format!("{pid}/cgroup"), format!("3:pids:{cgroup}\n0::{cgroup}\n"));
        for (link, to) in [("exe", format!("/bin/{comm}")), ("ns/net", format!("net:[{netns}]"))] {
            let link = self.path(&format!("{pid}/{link}"));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&link);
            symlink(to, link).unwrap();
        }
    }

    pub fn proc(&self) -> Proc {
        Proc::at(self.root())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The pids hierarchy of the machine the tests run on.
pub fn hierarchy() -> Option<PidsHierarchy> {
    PidsHierarchy::find()
}
