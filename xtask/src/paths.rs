//! Where things are: the workspace, its build output and the cache.

use std::{env, path::PathBuf};

use anyhow::{Context, Result};

/// The workspace's root: cargo says at run time where this package is now.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()),
    );
    root.pop();
    root
}

/// Cargo's output directory, as the caller of `cargo xtask` chose it.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Downloads and tools that survive `cargo clean`.
pub fn cache() -> Result<PathBuf> {
    let chosen = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = chosen("NODEPROBE_CACHE") {
        return Ok(root().join(dir));
    }
    let base = chosen("XDG_CACHE_HOME")
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no home directory: set NODEPROBE_CACHE to a directory for downloads")?;
    Ok(base.join("nodeprobe"))
}

/// The full path of a program, looked for where root finds programs too.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}
