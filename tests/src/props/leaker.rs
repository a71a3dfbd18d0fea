//! Programs of other languages that leak, as `cargo xtask` builds them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where they are in a guest.
pub const LIBRARY: &str = "/usr/lib/nodeprobe";

/// The program of this name: beside the scenarios' own, or where the guest has it.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell this program's path")?;
    let beside = own.parent().unwrap_or(Path::new(".")).join("leakers").join(name);
    let installed = Path::new(LIBRARY).join("leakers").join(name);
    [beside, installed].into_iter().find(|path| path.exists()).with_context(|| {
        format!("there is no {name}: `cargo xtask test` and `cargo xtask vm` build it")
    })
}
