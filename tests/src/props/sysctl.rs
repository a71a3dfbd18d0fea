//! A setting of the whole node, put back when it is dropped.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A sysctl that was changed.
pub struct Sysctl {
    path: PathBuf,
    before: String,
}

impl Sysctl {
    /// Sets `name`, such as `kernel/pid_max`.
    pub fn set(name: &str, value: u64) -> Result<Self> {
        let path = PathBuf::from("/proc/sys").join(name);
        let before =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, value.to_string())
            .with_context(|| format!("cannot write {value} to {}", path.display()))?;
        Ok(Self { path, before })
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.path, &self.before) {
            eprintln!("scenario: left behind: {} is changed: {error}", self.path.display());
        }
    }
}
