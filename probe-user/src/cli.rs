//! The command line.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    config::{
        Config, Format, Listen,
        canary::Every,
        load::{self, ConfigError},
        settings::{Flags, Settings},
    },
    doctor, explain,
    metrics::catalog,
    probe::{
        classify::chain,
        ground::{Ground, Wanted},
    },
    proof::selftest,
    replay, run,
    stderr::Stderr,
};

/// Exit code for a mistake of the user's: flags or configuration.
const USAGE: u8 = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  it did what was asked
  1  it could not go on, (doctor) something cannot be seen, (selftest) something was not confirmed
  2  wrong flags or configuration";

const RUN_EXAMPLES: &str = "\
Examples:
  sudo nodeprobe run                       findings on the terminal as they fire
  sudo nodeprobe run -o json | jq .summary
  sudo nodeprobe run --listen none         no metrics endpoint
  curl -s http://127.0.0.1:9477/metrics    what it counts, while it runs
  curl -s http://127.0.0.1:9477/readyz     what it sees, and what it does not
  curl -s http://127.0.0.1:9477/healthz    503 when a part of it that matters is stuck

Under systemd (Type=notify) it tells READY and STATUS, and pings a watchdog (WatchdogSec=30s) while
its loops turn.

Exit codes:
  0  SIGINT or SIGTERM asked for the end, and all findings were handed over
  1  it could not start or go on: the last line on stderr says which part, why and what to do
  2  wrong flags or configuration";

const REPLAY_NOTES: &str = "\
Times are those of the capture. What the agent would look up on the node when a finding fires is not in
a capture (programs, pod names, who shares a limit, names of functions), and is left out.

Exit codes:
  0  all of it was replayed, whatever it found; also when the file ends in the middle of an entry, as
     that of an agent that was killed does
  1  it cannot be read, is damaged, or was made by a nodeprobe with other records
  2  wrong flags or configuration";

/// Watches a Linux node from inside its kernel: qdisc/tc flapping, fork exhaustion and fd leaks, with
/// who does it, where, why and how long is left.
#[derive(Parser)]
#[command(name = "nodeprobe", version = crate::VERSION, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch this node until SIGINT or SIGTERM
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Say what this kernel allows, which rung every hook would use and what will not be seen
    Doctor {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = doctor::Output::Human)]
        output: doctor::Output,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Prove on this node, by small incidents of its own, that detection works from hook to sink
    #[command(after_help = selftest::HELP)]
    Selftest(selftest::Args),
    /// Run the same detection over a capture, and print what it finds
    #[command(after_help = REPLAY_NOTES)]
    Replay {
        /// What `nodeprobe run --capture FILE` wrote
        file: PathBuf,
        /// Configuration file (TOML)
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// How to print findings on stdout
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
    /// Check a configuration file
    CheckConfig { file: PathBuf },
    /// Say what a rule means, how it is computed and what to do; without a name, list the rules
    Explain {
        /// Name of the rule, as findings have it
        rule: Option<String>,
        /// Configuration file (TOML) whose values to print instead of the defaults
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// How to print
        #[arg(short, long, value_enum, default_value_t = explain::Output::Human)]
        output: explain::Output,
    },
    /// Print a completion script for a shell
    Completions { shell: Shell },
    /// Print the manual page (roff)
    #[command(hide = true)]
    Man,
    /// Print docs/metrics.md
    #[command(hide = true)]
    Metrics,
}

#[derive(Args)]
struct Run {
    /// Configuration file (TOML); flags override it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print findings on stdout
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Address of the metrics endpoint, or "none"
    #[arg(long, value_name = "ADDR")]
    listen: Option<Listen>,
    /// Time between two rounds of events that the agent provokes itself to see that they come through,
    /// or "none"; 1h without a value
    #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "1h")]
    periodic: Option<Every>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    capture: Capture,
    /// Let the kernel programs log every event to stderr (slow; for diagnosis)
    #[arg(long)]
    kernel_log: bool,
}

/// Flags about a capture of this run.
#[derive(Args)]
struct Capture {
    /// Write all that goes into detection to a new file, for `nodeprobe replay`
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Most that the file may take (MiB); the agent goes on without it then
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "capture",
          value_parser = clap::value_parser!(u32).range(1..))]
    capture_limit: u32,
}

/// Runs the command and returns its exit code.
pub fn main() -> ExitCode {
    let started = crate::findings::clock::boot_now();
    let cli = Cli::parse();
    let logger = env_logger::Env::new().filter_or("NODEPROBE_LOG", "info");
    env_logger::Builder::from_env(logger)
        .target(env_logger::Target::Pipe(Box::new(Stderr)))
        .format(|f, r| writeln!(f, "{}: {}", r.level(), r.args()))
        .init();
    match cli.command {
        Command::Run(args) => run_command(args, started),
        Command::Doctor { output, wanted } => match Ground::survey(wanted) {
            Ok(ground) => doctor::run(output, &ground),
            Err(error) => usage(&error),
        },
        Command::Selftest(args) => match configuration(args.config.as_deref()) {
            Ok(config) => selftest::run(args, config).unwrap_or_else(|error| usage(&error)),
            Err(error) => usage(&error),
        },
        Command::Replay { file, config, output } => {
            let mut config = match configuration(config.as_deref()) {
                Ok(config) => config,
                Err(error) => return usage(&error),
            };
            config.output.format = output.unwrap_or(config.output.format);
            failure_of(replay::run(&file, &config))
        }
        Command::CheckConfig { file } => match load::load(&file) {
            Ok(_) => {
                say(&format!("{}: ok", file.display()));
                ExitCode::SUCCESS
            }
            Err(error) => usage(&error),
        },
        Command::Explain { rule, config, output } => {
            let config = match configuration(config.as_deref()) {
                Ok(config) => config,
                Err(error) => return usage(&error),
            };
            match explain::explain(rule.as_deref(), output, &config) {
                Ok(text) => print(text.as_bytes()),
                Err(error) => usage(&error),
            }
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "nodeprobe", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Cli::command()).section("8").render(&mut page);
            rendered.map_or(ExitCode::FAILURE, |()| print(&page))
        }
        Command::Metrics => print(catalog::page().as_bytes()),
    }
}

/// The defaults, or what the file says.
fn configuration(file: Option<&Path>) -> Result<Config, ConfigError> {
    file.map_or_else(|| Ok(Config::default()), load::load)
}

fn print(bytes: &[u8]) -> ExitCode {
    match io::stdout().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads the list may have seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run_command(args: Run, started: u64) -> ExitCode {
    let Run { config, output, listen, periodic, .. } = args;
    let settings = match Settings::read(config, Flags { output, listen, periodic }) {
        Ok(settings) => settings,
        Err(error) => return usage(&error),
    };
    let ground = match Ground::survey(args.wanted) {
        Ok(ground) => ground,
        Err(error) => return usage(&error),
    };
    let Capture { capture, capture_limit } = args.capture;
    let capture = capture.map(|file| run::Capture { file, limit: u64::from(capture_limit) << 20 });
    failure_of(run::run(settings, &ground, args.kernel_log, capture, started))
}

/// Says what went wrong, if anything did.
fn failure_of<E: std::error::Error + 'static>(outcome: Result<(), E>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("nodeprobe: {}", chain(&error)));
            ExitCode::FAILURE
        }
    }
}

fn usage(error: &dyn std::fmt::Display) -> ExitCode {
    say(&format!("nodeprobe: {error}"));
    ExitCode::from(USAGE)
}

/// A line on stderr; a closed stderr is no reason to end.
pub fn say(line: &str) {
    let _ = Stderr.write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
