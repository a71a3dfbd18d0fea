//! Everything a developer does with nodeprobe: build it, run it, show it, test it on real kernels.

mod api_server;
mod apt;
mod artifacts;
mod backends;
mod cache;
mod demo;
mod dist;
mod docs;
mod fuzz;
mod go;
mod guest;
mod hooks;
mod initrd;
mod kernel;
mod leakers;
mod manifests;
mod matrix;
mod mirror;
mod modules;
mod paths;
mod pip;
mod play;
mod privileges;
mod qemu;
mod remap;
mod report;
mod rootfs;
mod run;
mod servers;
mod setup;
mod test;
mod tidy;
mod toolchain;
mod victoria_logs;
mod vm;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

/// Builds, runs, shows and tests nodeprobe
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask demo                          the main incidents, found on a real kernel
  cargo xtask demo -o json | jq .summary    only the findings
  cargo xtask demo --kubernetes             the agent as the DaemonSet runs it, among pods that misbehave
  cargo xtask test                          all tests, on kernels 5.10, 6.1 and 7.2
  cargo xtask matrix --kernel 6.18          all of it on one kernel, each rung and kind of guest
  cargo xtask docs --hooks                  the table of hooks, from a guest of each kernel
  cargo xtask docs --privileges             what is lost without each capability, from guests
  cargo xtask run -- doctor                 what this host's kernel allows
  cargo xtask fuzz --seconds 600            look for bytes that do harm
  cargo xtask vm 7.2 -- uname -a            one command in a guest

Environment:
  NODEPROBE_CACHE          where downloads and tools are kept (else ~/.cache/nodeprobe)
  NODEPROBE_DEBIAN_MIRROR  the Debian mirror for kernels and the guest's tools (else the one apt uses)
  NODEPROBE_BPF_RUSTC      the compiler for BPF: rustup or debian (else whichever is there)";

#[derive(Subcommand)]
enum Task {
    /// Installs what is missing: Debian packages, a compiler and a linker for BPF
    Setup,
    /// Builds the BPF objects, the static agent and the scenario runner
    Build,
    /// Builds the agent and runs it on this host as root
    #[command(after_help = "Example:\n  cargo xtask run -- run -o json")]
    Run {
        /// The agent's arguments
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Plays the main incidents in a guest and shows the agent finding them
    Demo(demo::Demo),
    /// Runs all tests: unit, object, fuzz, on this host and in guests
    #[command(after_help = "Example:\n  cargo xtask test --kernel 6.12 --kernel 6.18")]
    Test(test::Test),
    /// Runs the sinks against the log servers they are for, which it installs into the cache
    #[command(after_help = "Example:\n  cargo xtask backends -- syslog --nocapture")]
    Backends(backends::Backends),
    /// Renders the Kubernetes manifests and checks them: schemas, checkov, what must agree, the configuration
    Manifests(manifests::Manifests),
    /// Plays every scenario on every kernel and rung, and in guests of every kind; takes hours
    #[command(
        after_help = "Example:\n  cargo xtask matrix --kernel 6.18 --rung kprobe --scenario tc-agents"
    )]
    Matrix(matrix::Matrix),
    /// Writes the pages that are made by programs: docs/rules.md, docs/metrics.md, and on demand docs/hooks.md and docs/privileges.md
    Docs(docs::Docs),
    /// Feeds made-up bytes to everything that takes bytes which somebody else wrote
    #[command(after_help = "Example:\n  cargo xtask fuzz decode capture --seconds 600")]
    Fuzz(fuzz::Fuzz),
    /// Makes what users are given, in target/dist: archive, package, bill of materials, checksums
    Dist(dist::Dist),
    /// Checks formatting, lints and file lengths
    Tidy,
    /// Runs a command in a guest; its exit status is the command's
    #[command(after_help = "Examples:\n  cargo xtask vm 6.1 -- nodeprobe doctor\n  \
                            cargo xtask vm --file ./a.sh:/a.sh 7.2 -- sh /a.sh")]
    Vm(vm::Vm),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(status) => ExitCode::from(u8::try_from(status).unwrap_or(1)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<i32> {
    match cli.command {
        Task::Setup => setup::show()?,
        Task::Build => {
            setup::ensure()?;
            artifacts::build()?.print()?;
        }
        Task::Run { args } => {
            setup::ensure()?;
            let agent = artifacts::build()?.agent;
            let mut agent =
                run::as_root(agent).context("root is needed: install sudo or run this as root")?;
            let status = agent.args(args).status().context("cannot run the agent")?;
            return Ok(status.code().unwrap_or(1));
        }
        Task::Vm(vm) => return vm.run(),
        Task::Docs(docs) => docs.write()?,
        Task::Fuzz(fuzz) => return fuzz.run(),
        Task::Dist(dist) => return dist.run(),
        Task::Demo(demo) => return demo.run(),
        Task::Matrix(matrix) => return matrix.run(),
        Task::Backends(backends) => return backends.run(),
        Task::Manifests(manifests) => return manifests.run(),
        Task::Test(test) => return Ok(test.run()),
        Task::Tidy => return Ok(tidy::all()),
    }
    Ok(0)
}
