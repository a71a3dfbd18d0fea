//! Cache entries: directories that are made whole or not at all, by one process at a time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::paths;

/// Says from what an entry was made; an entry made from something else is made anew.
const RECIPE: &str = ".recipe";

/// The cache entry `name` (a relative path), made by `make` in a directory that becomes the entry.
pub fn entry(name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let entry = paths::cache()?.join(name);
    let parent = entry.parent().context("a cache entry has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let aside = |suffix: &str| {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        parent.join(format!(".{name}.{suffix}"))
    };
    let lock = File::create(aside("lock"))?;
    lock.lock().context("cannot lock the cache entry")?;
    if fs::read_to_string(entry.join(RECIPE)).is_ok_and(|found| found == recipe) {
        return Ok(entry);
    }

    let (fresh, stale) = (aside("new"), aside("old"));
    remove(&fresh)?;
    remove(&stale)?;
    fs::create_dir(&fresh)?;
    make(&fresh)?;
    fs::write(fresh.join(RECIPE), recipe)?;
    if entry.exists() {
        fs::rename(&entry, &stale)?;
    }
    fs::rename(&fresh, &entry)?;
    remove(&stale)?;
    Ok(entry)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
