//! Kernel modules of a guest, taken out and put in.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

use super::wait;
use crate::init::MODULES_FILE;

/// Modules that the guest loaded from files, the last one first.
pub struct Modules(Vec<(String, PathBuf)>);

impl Modules {
    /// Those of these names that are no part of the kernel.
    pub fn of_guest(names: &[&str]) -> Result<Self> {
        let order = fs::read_to_string(MODULES_FILE).context("the guest has no list of modules")?;
        let named = order.lines().rev().filter_map(|line| {
            let name = Path::new(line).file_stem()?.to_str()?.to_owned();
            names.contains(&name.as_str()).then(|| (name, PathBuf::from(line)))
        });
        let modules: Vec<_> = named.collect();
        ensure!(!modules.is_empty(), "all of {names:?} are parts of this kernel");
        Ok(Self(modules))
    }

    /// Takes all of them out.
    pub fn unload(&self) -> Result<()> {
        self.0
            .iter()
            .try_for_each(|(name, _)| wait::until("a module cannot be unloaded", || unload(name)))
    }

    /// Puts them in again, in the order in which they were at first.
    pub fn load(&self) -> Result<()> {
        for (name, path) in self.0.iter().rev() {
            let file =
                File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
            finit_module(&file, c"", 0).with_context(|| format!("cannot load {name}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

/// Unloads a module; why not, while it is in use: what goes with a namespace goes a little later.
fn unload(name: &str) -> Result<Option<String>> {
    match delete_module(&CString::new(name)?, libc::O_NONBLOCK) {
        Ok(()) => Ok(None),
        Err(error @ (Errno::AGAIN | Errno::BUSY)) => Ok(Some(format!("{name}: {error}"))),
        Err(error) => Err(error).with_context(|| format!("cannot unload {name}")),
    }
}
