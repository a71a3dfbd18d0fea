//! `nodeprobe selftest`: small incidents on the live node, in a network namespace and a cgroup of its
//! own, each followed from the hook to the sink. It loads programs of its own and runs the very same
//! pipeline over what its own thread did, with thresholds so low that nobody else's are reached.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use thiserror::Error;

use crate::{
    cli::say,
    config::{Config, span::Span},
    doctor::Output,
    enrich::{Enricher, cgroup::PidsHierarchy},
    kernel::fields::FieldsError,
    metrics::Metrics,
    pipeline::Pipeline,
    probe::{
        classify::chain,
        ground::{Ground, Wanted},
        object::{Options, Probe, ProbeError},
    },
    sinks::{SinkError, StartError},
    text,
};

mod acts;
mod bench;
mod outcome;
mod report;
mod stage;
mod trial;

use bench::Bench;
use report::Report;
use trial::{FAILURES, SOCKETS, TOGGLES};

/// What `--help` ends with.
pub const HELP: &str = "\
Examples:
  sudo nodeprobe selftest                  does this node's agent see what it must?
  sudo nodeprobe selftest -o json | jq '.signals[] | {signal, state, broke_at}'
  sudo nodeprobe selftest --rung kprobe    would it, without tracing programs?
  sudo nodeprobe selftest --within 10s     on a node that is short of CPU

It makes a veth with a clsact and a filter that flips, a clone refused by pids.max, and 16 netlink
sockets that stay open; all of that in a network namespace and a cgroup of its own, which are gone
when it ends. An agent that runs beside it with the default thresholds stays quiet.

Exit codes:
  0  every signal that can be provoked was confirmed, from the hook to the sink
  1  one was not: it says which link of the chain broke first, or that no hook covers it. Hooks that
     it does not provoke (see `nodeprobe doctor`) are listed and do not count
  2  wrong flags or configuration";

/// What the command line says.
#[derive(clap::Args)]
pub struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
    #[command(flatten)]
    wanted: Wanted,
    /// Longest time from an act to its finding at the sink
    #[arg(long, value_name = "SPAN", default_value = "2s")]
    within: Span,
    /// Configuration file (TOML) of the agent to be like; the thresholds it needs low it sets itself
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Why it could not begin, or go on.
#[derive(Debug, Error)]
enum SelftestError {
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error("the sink: {0}")]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("interrupted; what it had made is gone")]
    Interrupted,
}

/// An error of a part.
fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> SelftestError {
    move |source| SelftestError::Io { what, source }
}

/// Tests this node and prints the report.
///
/// # Errors
/// [`FieldsError`] when the user's file of kernel fields is of no use.
pub fn run(args: Args, config: Config) -> Result<ExitCode, FieldsError> {
    let Args { output, wanted, within, .. } = args;
    let ground = Ground::survey(wanted)?;
    let report = match prove(ground, within, config) {
        Ok(report) => report,
        Err(error) => {
            say(&format!("nodeprobe: {}", chain(&error)));
            return Ok(ExitCode::FAILURE);
        }
    };
    let text = match output {
        Output::Human => report.human(),
        Output::Json => text::json(&report).unwrap_or_default() + "\n",
    };
    let printed = io::stdout().write_all(text.as_bytes());
    let proven = report.confirmed && printed.is_ok();
    Ok(if proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The thresholds that the acts reach, and no others: each is below the default.
fn lowered(config: Config) -> Config {
    let mut low = config;
    low.tc.critical_toggles = TOGGLES;
    low.fork.failures = FAILURES;
    low.netlink.warn_open = SOCKETS;
    low.netlink.critical_open = SOCKETS;
    low
}

fn prove(ground: Ground, within: Span, config: Config) -> Result<Report, SelftestError> {
    let config = lowered(config);
    let hierarchy = PidsHierarchy::find();
    let options = Options {
        choices: ground.choices.clone(),
        kernel_log: false,
        pids_on_cgroup_v1: hierarchy.as_ref().is_some_and(PidsHierarchy::is_v1),
        rtnl_least_wait_ns: config.rtnl.least_wait_ns(),
    };
    // Before any other thread: attaching may enter a mount namespace for tracefs.
    let probe = Probe::load(&ground.facts, &ground.offsets, options)?;
    let metrics = Arc::new(Metrics::new()?);
    let enricher = Enricher::new(hierarchy, &config.enrich);
    let pipeline = Pipeline::new(&config, enricher, Arc::clone(&metrics));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("the runtime"))?;
    let outcomes = runtime
        .block_on(async { Bench::set_up(probe, pipeline, metrics, within)?.try_all().await })?;
    Ok(Report::new(ground.facts.release, within, outcomes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_with_default_thresholds_stays_quiet() {
        let (low, default) = (lowered(Config::default()), Config::default());
        assert!(low.tc.critical_toggles < default.tc.critical_toggles);
        assert!(low.fork.failures < default.fork.failures);
        assert!(low.netlink.warn_open < default.netlink.warn_open);
        assert!(acts::flip::HANDLES.len() < default.tc.warn_writes);
    }
}
