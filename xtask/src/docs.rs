//! `cargo xtask docs`: the pages that the program itself writes. A unit test of the agent says when
//! they are old.

use std::{fs, process::Stdio};

use anyhow::{Context, Result, ensure};

use crate::{artifacts, paths, run};

/// Writes docs/rules.md.
pub fn write() -> Result<()> {
    let mut agent = run::cargo();
    agent.args(["run", "--quiet", "--package", "probe-user", "--"]);
    agent.args(["explain", "--output", "markdown"]).stderr(Stdio::inherit());
    artifacts::env_of_object(&mut agent);
    let page = agent.output().context("cannot run cargo")?;
    ensure!(page.status.success(), "the agent did not write the page ({})", page.status);
    let file = paths::root().join("docs/rules.md");
    fs::write(&file, page.stdout).with_context(|| format!("cannot write {}", file.display()))
}
