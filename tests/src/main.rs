//! `scenario`: plays incidents on this machine and judges the agent by what it finds.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::{Args, Parser, Subcommand};
use scenarios::lack::Skips;
use scenarios::metrics::Endpoint;
use scenarios::report::Reporter;
use scenarios::scenario::{self, ALL, Scenario, Stage};
use scenarios::session::Setup;
use scenarios::trial::{self, Trial};
use scenarios::workload::Workload;
use scenarios::{doctor, init, interrupt, privileges, runner, workload};

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
    /// Play scenarios and trials, each with an agent of its own.
    Run {
        /// Names of scenarios and trials; all that need no guest of their own when none is given. The
        /// doctor alone: "doctor".
        names: Vec<String>,
        #[command(flatten)]
        setup: SetupArgs,
    },
    /// Play all incidents and then normal life, with one agent.
    Demo {
        #[command(flatten)]
        setup: SetupArgs,
    },
    /// Report what the doctor says of every hook, on each rung.
    Hooks {
        #[command(flatten)]
        setup: SetupArgs,
    },
    /// Report what the agent does with capabilities left out.
    Privileges {
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
        let stage = Stage {
            reporter: Reporter::stdout(),
            classifier: self.classifier,
            rung,
            skips: Skips::default(),
            metrics: Endpoint::default(),
        };
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
            for Trial { name, summary, expected, .. } in trial::ALL {
                println!("{name}: {summary}\n    expected: {expected}");
            }
            Ok(true)
        }
        Command::Run { names, setup } => {
            let (scenarios, trials) = choose(&names)?;
            Ok(runner::run(&setup.prepare()?, &scenarios, &trials).failed == 0)
        }
        Command::Demo { setup } => Ok(runner::demo(&setup.prepare()?).failed == 0),
        Command::Hooks { setup } => doctor::report_rungs(&setup.prepare()?).map(|()| true),
        Command::Privileges { setup } => privileges::report(&setup.prepare()?).map(|()| true),
        Command::Init => init::run().map(|()| true),
        Command::Workload(workload) => workload::run(&workload).map(|()| true),
    }
}

/// What is played: scenarios, then trials.
type Chosen = (Vec<&'static Scenario>, Vec<&'static Trial>);

fn choose(names: &[String]) -> Result<Chosen> {
    if names.is_empty() {
        return Ok((
            ALL.iter().collect(),
            trial::ALL.iter().filter(|trial| !trial.own_guest).collect(),
        ));
    }
    let (mut scenarios, mut trials) = Chosen::default();
    for name in names.iter().filter(|name| *name != doctor::NAME) {
        match (scenario::find(name), trial::find(name)) {
            (Some(scenario), _) => scenarios.push(scenario),
            (None, Some(trial)) => trials.push(trial),
            (None, None) => {
                let known = ALL.iter().map(|scenario| scenario.name);
                let known = known.chain(trial::ALL.iter().map(|trial| trial.name));
                let known = known.collect::<Vec<_>>().join(", ");
                bail!("there is no scenario {name}; there are {known}");
            }
        }
    }
    Ok((scenarios, trials))
}
