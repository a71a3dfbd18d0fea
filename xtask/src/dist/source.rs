//! The sources a release is made of.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::run;

/// What is said of them in a release.
pub struct Source {
    /// The workspace's version.
    pub version: &'static str,
    /// The commit, or "unknown" outside a git tree.
    pub revision: String,
    /// When it was committed (s since 1970); the time of every file of the release.
    pub time: u64,
    /// Whether something is not committed.
    pub is_changed: bool,
}

impl Source {
    /// Asks git; outside a git tree, `SOURCE_DATE_EPOCH` says the time.
    pub fn of(root: &Path) -> Result<Self> {
        let git = |args: &[&str]| run::query(Command::new("git").arg("-C").arg(root).args(args));
        let committed = git(&["log", "-1", "--format=%ct"]);
        let chosen = env::var("SOURCE_DATE_EPOCH").ok().or(committed).unwrap_or("0".into());
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: git(&["rev-parse", "HEAD"]).unwrap_or("unknown".into()),
            time: chosen.parse().with_context(|| format!("{chosen:?} is no time in seconds"))?,
            is_changed: git(&["status", "--porcelain"]).is_some_and(|changed| !changed.is_empty()),
        })
    }

    /// The name of a file of the release, by what it ends with.
    pub fn name(&self, end: &str) -> String {
        format!("nodeprobe-{}-x86_64.{end}", self.version)
    }
}
