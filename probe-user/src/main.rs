//! nodeprobe: watches a Linux node from inside its kernel and says who wears it down.

use std::process::ExitCode;

mod cli;
mod config;
mod decode;
mod doctor;
mod enrich;
mod errno;
mod event;
mod findings;
mod kernel;
mod metrics;
mod pipeline;
mod probe;
mod run;
mod signals;
mod sinks;
mod source;

fn main() -> ExitCode {
    cli::main()
}
