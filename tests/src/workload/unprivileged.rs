//! A program that is root and yet bound by the limits that bind others.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

/// Become a program without `CAP_SYS_ADMIN`.
#[derive(Args)]
pub struct Unprivileged {
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What execve(2) gives to root is what is left in the bounding set (capabilities(7)).
pub fn run(args: &Unprivileged) -> Result<()> {
    remove_capability_from_bounding_set(CapabilitySet::SYS_ADMIN)
        .context("cannot drop CAP_SYS_ADMIN")?;
    let (program, args) = args.command.split_first().context("no program")?;
    Err(Command::new(program).args(args).exec())
        .with_context(|| format!("cannot run {}", program.display()))
}
