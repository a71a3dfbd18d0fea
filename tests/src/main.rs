//! `scenario`: plays incidents on this machine and judges the agent by what it finds.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use scenarios::faults::{self, Fault};
use scenarios::report::Reporter;
use scenarios::scenario::{self, ALL, Scenario, Stage};
use scenarios::session::Setup;
use scenarios::workload::Workload;
use scenarios::{init, interrupt, runner, watchdog, workload};

/// Play incidents on this machine and judge nodeprobe by what it finds.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the scenarios.
    List,
    /// Play scenarios, each with an agent of its own; faults too, when they are named.
    Run {
        /// Names of scenarios, faults, or "watchdog"; all scenarios and the watchdog when none is given.
        names: Vec<String>,
        #[command(flatten)]
        setup: SetupArgs,
    },
    /// Play all incidents and then normal life, with one agent.
    Demo {
        #[command(flatten)]
        setup: SetupArgs,
    },
    /// Be the first process of a test guest.
    Init,
    /// Be a workload.
    #[command(subcommand, hide = true)]
    Workload(Workload),
}

#[derive(Args)]
struct SetupArgs {
    /// The agent's binary.
    #[arg(long)]
    nodeprobe: PathBuf,
    /// eBPF object with a section `classifier` for tc to load; a classic program without.
    #[arg(long)]
    classifier: Option<PathBuf>,
    /// Further arguments for `nodeprobe run`.
    #[arg(last = true)]
    agent_args: Vec<OsString>,
}

impl SetupArgs {
    fn prepare(self) -> Result<Setup> {
        ensure!(rustix::process::geteuid().is_root(), "scenarios need root: run this with sudo");
        for path in [Some(&self.nodeprobe), self.classifier.as_ref()].into_iter().flatten() {
            ensure!(path.exists(), "{} does not exist: build it first", path.display());
        }
        interrupt::note_signals()?;
        let rung = self.agent_args.iter().skip_while(|arg| *arg != "--rung").nth(1);
        let rung = rung.map(|rung| rung.to_string_lossy().into_owned());
        // `HOOK=RUNG` is about one hook.
        let rung = rung.filter(|rung| !rung.contains('='));
        let stage = Stage { reporter: Reporter::stdout(), classifier: self.classifier, rung };
        Ok(Setup { nodeprobe: self.nodeprobe, agent_args: self.agent_args, stage })
    }
}

fn main() -> ExitCode {
    let outcome =
        if init::is_guest_init() { init::run().map(|()| true) } else { run(Cli::parse().command) };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("scenario: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool> {
    match command {
        Command::List => {
            for Scenario { name, summary, expected, .. } in ALL {
                println!("{name}: {summary}\n    expected: {expected}");
            }
            for Fault { name, summary, expected, .. } in faults::ALL {
                println!("{name}: {summary}\n    expected: {expected}");
            }
            Ok(true)
        }
        Command::Run { mut names, setup } => {
            let all = names.is_empty();
            let watchdog = all || names.iter().any(|name| name == watchdog::NAME);
            names.retain(|name| name != watchdog::NAME);
            let (scenarios, faults) =
                if all { (ALL.iter().collect(), Vec::new()) } else { choose(&names)? };
            Ok(runner::run(&setup.prepare()?, &scenarios, &faults, watchdog).failed == 0)
        }
        Command::Demo { setup } => Ok(runner::demo(&setup.prepare()?).failed == 0),
        Command::Init => init::run().map(|()| true),
        Command::Workload(workload) => workload::run(&workload).map(|()| true),
    }
}

fn choose(names: &[String]) -> Result<(Vec<&'static Scenario>, Vec<&'static Fault>)> {
    let (mut scenarios, mut chosen) = (Vec::new(), Vec::new());
    for name in names {
        match (scenario::find(name), faults::find(name)) {
            (Some(scenario), _) => scenarios.push(scenario),
            (None, Some(fault)) => chosen.push(fault),
            (None, None) => {
                let known = ALL.iter().map(|scenario| scenario.name);
                let known: Vec<&str> = known.chain(faults::ALL.iter().map(|f| f.name)).collect();
                bail!("there is no scenario {name}; there are {}", known.join(", "));
            }
        }
    }
    Ok((scenarios, chosen))
}
