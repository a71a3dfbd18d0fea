//! Modules of tc are unloaded and loaded again. No hook lives in one: all are on functions of the kernel.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::system::{delete_module, finit_module};

use super::wait;
use super::watched::Watched;
use crate::init::MODULES_FILE;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-modules",
    summary: "cls_bpf, sch_ingress and veth are unloaded and loaded again",
    expected: "the agent finds filters that toggle on an interface made before, and on one made after",
    own_guest: true,
    play: check,
};

/// What is unloaded, as far as it is no part of the kernel.
const MODULES: [&str; 3] = ["cls_bpf", "sch_ingress", "veth"];

fn check(setup: &Setup) -> Result<String> {
    let mut agent = Watched::start(setup, "")?;
    agent.finds_a_toggle()?;
    let modules = loaded()?;
    for (name, _) in &modules {
        wait::until("a module cannot be unloaded", || unload(name))?;
    }
    // The order in which they were loaded at first.
    for (name, path) in modules.iter().rev() {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        finit_module(&file, c"", 0).with_context(|| format!("cannot load {name}"))?;
    }
    agent.finds_a_toggle()?;
    agent.end()?;
    let names: Vec<&str> = modules.iter().map(|(name, _)| name.as_str()).collect();
    Ok(format!("{} went and came again", names.join(", ")))
}

/// Those that are loaded from a file, the last one first.
fn loaded() -> Result<Vec<(String, PathBuf)>> {
    let order = fs::read_to_string(MODULES_FILE).context("the guest has no list of modules")?;
    let named = order.lines().rev().filter_map(|line| {
        let name = Path::new(line).file_stem()?.to_str()?.to_owned();
        MODULES.contains(&name.as_str()).then(|| (name, PathBuf::from(line)))
    });
    let modules: Vec<_> = named.collect();
    ensure!(!modules.is_empty(), "all of {MODULES:?} are parts of this kernel");
    Ok(modules)
}

/// Unloads a module; why not, while it is in use: what goes with a namespace goes a little later.
fn unload(name: &str) -> Result<Option<String>> {
    let word = std::ffi::CString::new(name)?;
    match delete_module(&word, libc::O_NONBLOCK) {
        Ok(()) => Ok(None),
        Err(error @ (Errno::AGAIN | Errno::BUSY)) => Ok(Some(format!("{name}: {error}"))),
        Err(error) => Err(error).with_context(|| format!("cannot unload {name}")),
    }
}
