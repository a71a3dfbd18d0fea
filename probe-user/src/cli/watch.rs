//! `nodeprobe run` on the command line.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{failure_of, print_config, usage};
use crate::{
    config::{
        Format, Listen,
        canary::Every,
        settings::{Flags, Settings},
    },
    probe::ground::{Ground, Wanted},
    run,
};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  sudo nodeprobe run                       findings on the terminal as they fire
  sudo nodeprobe run -o json | jq .summary
  sudo nodeprobe run --listen none         no metrics endpoint
  nodeprobe run --print-config             what is in force with these flags
  curl -s http://127.0.0.1:9477/metrics    what it counts, while it runs
  curl -s http://127.0.0.1:9477/readyz     what it sees, and what it does not
  curl -s http://127.0.0.1:9477/healthz    503 when a part of it that matters is stuck

SIGHUP makes it read its configuration again, and open its files again; so does a file that changes.

Under systemd (Type=notify, or notify-reload) it tells READY and STATUS, and pings a watchdog (WatchdogSec=30s) while
its loops turn.

Exit codes:
  0  SIGINT or SIGTERM asked for the end, and all findings were handed over
  1  it could not start or go on: the last line on stderr says which part, why and what to do
  2  wrong flags or configuration";

/// What the command line says.
#[derive(Args)]
pub struct Run {
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
    /// Print the configuration that is in force with these flags, as JSON, secrets hidden, and end
    #[arg(long)]
    print_config: bool,
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

/// Watches until somebody asks for the end. `started` is when the process began (ns since boot).
pub fn run(args: Run, started: u64) -> ExitCode {
    let Run { config, output, listen, periodic, .. } = args;
    let settings = match Settings::read(config, Flags { output, listen, periodic }) {
        Ok(settings) => settings,
        Err(error) => return usage(&error),
    };
    if args.print_config {
        return print_config(&settings.config);
    }
    let ground = match Ground::survey(args.wanted) {
        Ok(ground) => ground,
        Err(error) => return usage(&error),
    };
    let Capture { capture, capture_limit } = args.capture;
    let capture = capture.map(|file| run::Capture { file, limit: u64::from(capture_limit) << 20 });
    failure_of(run::run(settings, &ground, args.kernel_log, capture, started))
}
