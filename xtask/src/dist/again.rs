//! Whether a build somewhere else gives the same bytes.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use super::{archive, source::Source};
use crate::{
    artifacts::{Artifacts, Place},
    run,
};

/// Clones the commit into a directory of another name, builds there with an output directory of its
/// own, and compares.
pub fn compare(first: &Artifacts, source: &Source) -> Result<()> {
    ensure!(!source.is_changed, "a clone has what is committed: commit first");
    let elsewhere = tempfile::tempdir().context("cannot make a directory")?;
    let clone = elsewhere.path().join("somewhere/else");
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--no-hardlinks"]).arg(crate::paths::root()).arg(&clone);
    run::step("cloning the commit", &mut git)?;
    let second = Place::other(&clone).build()?;
    let pairs = [
        ("kernel programs", &first.object, &second.object),
        ("agent", &first.agent, &second.agent),
    ];
    for (what, first, second) in pairs {
        let (first, second) = (digest(first)?, digest(second)?);
        println!("{what}: {first}");
        ensure!(first == second, "the {what} built in {} differ: {second}", clone.display());
    }
    println!("the same from another directory");
    Ok(())
}

fn digest(file: &Path) -> Result<String> {
    let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(archive::sha256(&content))
}
