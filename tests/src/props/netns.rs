//! A network namespace of its own for every interface the scenarios touch.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::unique;
use crate::exec;
use crate::lack::Lack;

/// What the kernel answers for a kind of link that it does not know.
const UNKNOWN_KIND: &str = "Unknown device type";

/// A named network namespace.
pub struct Netns {
    name: String,
}

impl Netns {
    /// Creates one.
    pub fn create() -> Result<Self> {
        let name = unique("np-");
        exec::run("ip", &["netns", "add", &name])?;
        Ok(Self { name })
    }

    /// The name `ip netns` knows it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that keeps it alive.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new("/var/run/netns").join(&self.name)
    }

    /// Its inode number, by which the kernel knows it.
    pub fn inum(&self) -> Result<u64> {
        let path = self.path();
        Ok(fs::metadata(&path).with_context(|| format!("cannot stat {}", path.display()))?.ino())
    }

    /// Does something in it; the processes it starts are born there.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = self.path();
        // A namespace is a thread's own: this one ends with the work and the caller stays outside.
        thread::scope(|scope| scope.spawn(move || enter(&path).and_then(|()| act())).join())
            .map_err(|_| anyhow!("the work inside network namespace {} panicked", self.name))?
    }

    /// Adds a link of a kind (ip-link(8)), with words of its own behind it.
    pub fn add_link(&self, link: &str, kind: &str) -> Result<()> {
        let words = format!("-n {} link add {link} type {kind}", self.name);
        exec::run_words("ip", &words).map(drop).map_err(|error| {
            let module = kind.split_whitespace().next().unwrap_or_default();
            let unknown = error.to_string().contains(UNKNOWN_KIND);
            unknown.then(|| Lack::module(module)).flatten().map_or(error, anyhow::Error::from)
        })
    }

    fn remove(&self) -> Result<()> {
        exec::run("ip", &["netns", "del", &self.name]).map(drop)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("scenario: left behind: {error:#}");
        }
    }
}

/// Moves this thread into a network namespace.
pub fn enter(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    enter_file(&file).with_context(|| format!("cannot enter network namespace {}", path.display()))
}

/// [`enter`] by an open file of the namespace.
pub fn enter_file(file: &File) -> Result<()> {
    Ok(move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?)
}
