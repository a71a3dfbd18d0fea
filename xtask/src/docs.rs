//! `cargo xtask docs`: the pages that programs write. Tests say when they are old.

use std::{fs, process::Stdio};

use anyhow::{Context, Result, ensure};

use clap::{Args, builder::PossibleValuesParser};

use crate::{artifacts, hooks, kernel, paths, privileges, run};

/// What `docs` is asked for.
#[derive(Args)]
pub struct Docs {
    /// Writes docs/hooks.md and docs/hooks.json too, which takes a guest of each kernel
    #[arg(long)]
    hooks: bool,
    /// Writes docs/privileges.md and docs/privileges.json too, which takes guests of three kernels
    #[arg(long)]
    privileges: bool,
    /// Asks this kernel only and keeps what the table says of the others; may be given again
    #[arg(long, value_parser = PossibleValuesParser::new(kernel::all_series()))]
    kernel: Vec<String>,
}

impl Docs {
    /// Writes them.
    pub fn write(self) -> Result<()> {
        page("rules.md", &["explain", "--output", "markdown"])?;
        page("metrics.md", &["metrics"])?;
        if self.hooks {
            hooks::write(&self.kernel)?;
        }
        if self.privileges { privileges::write(&self.kernel) } else { Ok(()) }
    }
}

/// Writes a page of docs/ that the agent prints when it gets these arguments.
fn page(file: &str, args: &[&str]) -> Result<()> {
    let mut agent = run::cargo();
    agent.args(["run", "--quiet", "--package", "probe-user", "--"]);
    agent.args(args).stderr(Stdio::inherit());
    artifacts::env_of_object(&mut agent);
    let page = agent.output().context("cannot run cargo")?;
    ensure!(page.status.success(), "the agent did not write {file} ({})", page.status);
    let file = paths::root().join("docs").join(file);
    fs::write(&file, page.stdout).with_context(|| format!("cannot write {}", file.display()))
}
