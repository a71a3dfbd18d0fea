//! The command line.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    config::{
        Config, Format,
        load::{self, ConfigError},
    },
    doctor, explain,
    metrics::catalog,
    probe::{
        classify::chain,
        ground::{Ground, Wanted},
    },
    proof::selftest,
    replay, send_test,
    stderr::Stderr,
    text::plain,
};

mod watch;

/// Exit code for a mistake of the user's: flags or configuration.
const USAGE: u8 = 2;

const EXIT_CODES: &str = "\
Exit codes:
  0  it did what was asked
  1  it could not go on, (doctor) something cannot be seen, (selftest) something was not confirmed
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
    #[command(after_help = watch::EXAMPLES)]
    Run(watch::Run),
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
    CheckConfig {
        file: PathBuf,
        /// Print what it comes to with the defaults, as JSON, secrets hidden
        #[arg(long)]
        print: bool,
    },
    /// Send one record to a sink, or to each, and say what its backend answers
    #[command(after_help = send_test::HELP)]
    SendTest(send_test::Args),
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
        Command::Run(args) => watch::run(args, started),
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
        Command::SendTest(args) => match configuration(args.config.as_deref()) {
            Ok(config) => send_tests(&args, &config),
            Err(error) => usage(&error),
        },
        Command::CheckConfig { file, print } => match load::load(&file) {
            Ok(config) if print => print_config(&config),
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

/// Secrets hide themselves.
fn print_config(config: &Config) -> ExitCode {
    match serde_json::to_string_pretty(config) {
        Ok(json) => print(format!("{json}\n").as_bytes()),
        Err(error) => failure_of(Err(error)),
    }
}

fn send_tests(args: &send_test::Args, config: &Config) -> ExitCode {
    let outcomes = match send_test::outcomes(args, config) {
        Ok(outcomes) => outcomes,
        Err(error) => return usage(&error),
    };
    let mut all_taken = true;
    for outcome in outcomes {
        all_taken &= outcome.taken;
        print(format!("{}\n", plain(&outcome.line)).as_bytes());
    }
    if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
