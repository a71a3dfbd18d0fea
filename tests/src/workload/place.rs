//! Where a workload is: in a pod, say.

use std::path::{Path, PathBuf};
use std::{fs, process};

use anyhow::{Context, Result};
use clap::Args;

use crate::props::netns;

/// A cgroup and a network namespace to be in.
#[derive(Args)]
pub struct Place {
    /// Directory of the cgroup to move into.
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// Network namespace to move into.
    #[arg(long)]
    inside: Option<PathBuf>,
}

impl Place {
    /// Moves there for good.
    pub fn enter(&self) -> Result<()> {
        if let Some(cgroup) = &self.cgroup {
            join(cgroup)?;
        }
        self.inside.as_deref().map_or(Ok(()), netns::enter)
    }
}

/// Moves into a cgroup, given its directory.
pub fn join(cgroup: &Path) -> Result<()> {
    let procs = cgroup.join("cgroup.procs");
    fs::write(&procs, process::id().to_string())
        .with_context(|| format!("cannot move into cgroup by {}", procs.display()))
}
