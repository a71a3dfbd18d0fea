//! A program that is root and yet bound by the limits that bind others.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use rustix::thread::{
    CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set,
};

/// Become a program without `CAP_SYS_ADMIN`, or without others.
#[derive(Args)]
pub struct Unprivileged {
    /// The capabilities that are left out, such as `CAP_BPF`; "all" for all there are.
    #[arg(long, value_delimiter = ',', default_value = "CAP_SYS_ADMIN")]
    without: Vec<String>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// What execve(2) gives to root is what is left in the bounding set (capabilities(7)).
pub fn run(args: &Unprivileged) -> Result<()> {
    for name in &args.without {
        let dropped = match name.as_str() {
            "all" => CapabilitySet::all(),
            name => name
                .strip_prefix("CAP_")
                .and_then(CapabilitySet::from_name)
                .with_context(|| format!("there is no {name}"))?,
        };
        for capability in (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit)) {
            // The kernel answers with an error for those it has not.
            let has = capability_is_in_bounding_set(capability).unwrap_or(false);
            if has && dropped.contains(capability) {
                remove_capability_from_bounding_set(capability)
                    .with_context(|| format!("cannot drop {name}"))?;
            }
        }
    }
    let (program, args) = args.command.split_first().context("no program")?;
    Err(Command::new(program).args(args).exec())
        .with_context(|| format!("cannot run {}", program.display()))
}
