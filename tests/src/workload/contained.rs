//! A program in a container.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::props::container::{BUNDLED, RUNC, with_arguments};

/// Become the program of a container.
#[derive(Args)]
pub struct Contained {
    /// Directory of the bundle.
    #[arg(long)]
    bundle: PathBuf,
    /// Id of the container.
    #[arg(long)]
    id: String,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs in the foreground, with this process's output.
pub fn run(args: &Contained) -> Result<()> {
    let bundled = args.bundle.join(BUNDLED);
    let text = fs::read(&bundled).with_context(|| format!("cannot read {}", bundled.display()))?;
    let config: Value = serde_json::from_slice(&text).context("a bundle is no JSON")?;
    let config = with_arguments(config, &args.command);
    fs::write(args.bundle.join("config.json"), config.to_string())
        .context("cannot write config.json")?;
    let mut runc = Command::new(RUNC);
    // The root of a guest is no mount that could be pivoted.
    runc.args(["run", "--no-pivot", "--bundle"]).arg(&args.bundle).arg(&args.id);
    Err(runc.exec()).context("cannot run runc")
}
