//! `nodeprobe doctor`: what this kernel allows and what will not be seen. Attaches every hook as
//! `run` would and lets go at once, so its answer is what would happen, not a guess.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    cli::say,
    config::rtnl::RtnlConfig,
    enrich::cgroup::PidsHierarchy,
    probe::{
        classify::chain,
        coverage::Coverage,
        ground::Ground,
        hook::Rung,
        object::{Options, Probe, ProbeError},
        refusal::Refusal,
    },
    signals::SIGNALS,
    text,
};

mod human;
mod report;

use report::Report;

/// How the report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Human,
    Json,
}

/// Examines this node and prints the report. Exit code 0 when every hook sees something, else 1.
pub fn run(output: Output, ground: &Ground) -> ExitCode {
    let pids_controller = match PidsHierarchy::find() {
        Some(hierarchy) if hierarchy.is_v1() => "v1",
        Some(_) => "v2",
        None => "none",
    };
    let coverage = match attach(ground, pids_controller == "v1") {
        Ok(coverage) => coverage,
        Err(ProbeError::Refused(refusal)) => nothing(&refusal),
        Err(error) => {
            say(&format!("nodeprobe: {}", chain(&error)));
            return ExitCode::FAILURE;
        }
    };
    let report = Report::new(ground, pids_controller, &coverage);
    let text = match output {
        Output::Human => human::text(&report),
        Output::Json => text::json(&report).unwrap_or_default() + "\n",
    };
    let printed = io::stdout().write_all(text.as_bytes());
    let mut refused = coverage.iter().filter(|covered| covered.is_refused_as_asked()).peekable();
    let as_asked = refused.peek().is_none();
    for covered in refused {
        say(&format!(
            "nodeprobe: {} cannot run as it was asked to: {}",
            covered.name(),
            covered.why()
        ));
    }
    if report.covered && as_asked && printed.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What `run` would get.
fn attach(ground: &Ground, pids_on_cgroup_v1: bool) -> Result<Vec<Coverage>, ProbeError> {
    let rtnl_least_wait_ns = RtnlConfig::default().least_wait_ns();
    let choices = ground.choices.clone();
    let options = Options { choices, pids_on_cgroup_v1, kernel_log: false, rtnl_least_wait_ns };
    Probe::load(&ground.facts, &ground.offsets, options).map(|probe| probe.coverage)
}

/// What there is where the kernel takes nothing at all.
fn nothing(refusal: &Refusal) -> Vec<Coverage> {
    let hooks = SIGNALS.iter().flat_map(|signal| signal.hooks.iter().map(move |h| (*signal, h)));
    let refused = |(signal, hook)| {
        let refusals = Rung::LADDER.into_iter().map(|rung| (rung, refusal.clone())).collect();
        Coverage { refusals, ..Coverage::none(signal, hook) }
    };
    hooks.map(refused).collect()
}
