//! `cargo xtask vm`: one command in a guest.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    artifacts,
    guest::{Cgroups, Guest, Listener},
    kernel, setup,
};

/// What `vm` is asked for.
#[derive(Args)]
pub struct Vm {
    /// The kernel's series
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(kernel::all_series()))]
    kernel: String,
    /// The guest's memory in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// The guest's processors
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// More words for the kernel's command line, such as "lockdown=confidentiality"
    #[arg(long, default_value = "")]
    append: String,
    /// The cgroup hierarchies: v2 alone, v1 alone, or v1 with a v2 beside it
    #[arg(long, value_enum, default_value_t = Cgroups::V2)]
    cgroup: Cgroups,
    /// Copies a file into the guest; may be given again
    #[arg(long, value_name = "HOST:GUEST", value_parser = host_and_guest)]
    file: Vec<(PathBuf, String)>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn host_and_guest(text: &str) -> Result<(PathBuf, String)> {
    let (host, guest) = text.split_once(':').context("not of the form HOST:GUEST")?;
    Ok((host.into(), guest.to_owned()))
}

impl Vm {
    /// Runs the command; returns its exit status.
    pub fn run(self) -> Result<i32> {
        setup::ensure()?;
        let artifacts = artifacts::build()?;
        let kernel = kernel::get(&self.kernel)?;
        let guest = Guest {
            memory: self.memory,
            cpus: self.cpus,
            append: self.append,
            cgroups: self.cgroup,
            files: self.file,
            ..Guest::new(&kernel, self.command)
        };
        guest.run(&artifacts, &mut Copy { said: false })
    }
}

/// Copies the guest's output to this program's.
struct Copy {
    said: bool,
}

impl Listener for Copy {
    fn line(&mut self, line: &[u8]) {
        self.said = true;
        // A reader that went away is no reason to stop the guest: its exit status still counts.
        let _ = stdout().write_all(line).and_then(|()| stdout().flush());
    }

    fn restart(&mut self) -> bool {
        !self.said
    }
}
