//! The life of findings: one that comes again soon is the same, those with one cause are one incident.

use std::any::Any;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::expect::Expectation;
use crate::props::cgroup::PidsCgroup;
use crate::scenario::{Act, Played, Scenario, Stage};
use crate::scenarios::fork_pids_max::{FORK_STORM, fork_fail};

/// Room for a victim and a few children.
const PIDS_MAX: u32 = 8;
const FAILURES: u32 = 12;
/// Longer than window, hold and two ticks: by then the first episode has resolved.
const QUIET: Duration = Duration::from_secs(5);

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "lifecycle",
    summary: "forks are refused again after a pause, and to two pods below one limit",
    expected: "the same finding again; two findings of one incident, with a line that names the limit",
    config: "[fork]\nwindow = \"1s\"\nhold = \"1s\"\n",
    prelude: None,
    quiet: &[FORK_STORM],
    acts: &[
        Act { summary: "a cgroup is at its limit twice", play: again, resolves: false },
        Act { summary: "two pods hit their common limit", play: common_limit, resolves: false },
    ],
};

fn again(stage: &Stage) -> Result<Played> {
    let cgroup = PidsCgroup::create(PIDS_MAX)?;
    let (mut first, since) = fork_fail("batch-job", FAILURES, &cgroup, "cgroup", &[])?;
    first.done()?;
    drop(first);
    stage.reporter.progress("waiting for the first episode to end");
    thread::sleep(QUIET);
    let (mut second, _) = fork_fail("batch-job", FAILURES, &cgroup, "cgroup", &[])?;
    second.done()?;
    let expected = refused_in(&cgroup, "").is("/flaps", 1).at_least("/revision", 3);
    let props: Vec<Box<dyn Any>> = vec![Box::new(second), Box::new(cgroup)];
    Ok(Played { since, expected: vec![expected], props })
}

fn common_limit(_: &Stage) -> Result<Played> {
    let pods = PidsCgroup::create(PIDS_MAX)?;
    let (one, other) = (pods.child("one")?, pods.child("other")?);
    let (mut first, since) = fork_fail("java", FAILURES, &one, "cgroup", &[])?;
    first.done()?;
    let (mut second, _) = fork_fail("batch-job", FAILURES, &other, "cgroup", &[])?;
    second.done()?;
    let line = format!("/{} is reached -> java and batch-job cannot fork", pods.name());
    let expected = vec![
        refused_in(&pods, "/one"),
        refused_in(&pods, "/other").is("/incident/findings", 2).ends_with("/incident/line", line),
    ];
    let props: Vec<Box<dyn Any>> =
        vec![Box::new(first), Box::new(second), Box::new(one), Box::new(other), Box::new(pods)];
    Ok(Played { since, expected, props })
}

fn refused_in(cgroup: &PidsCgroup, below: &str) -> Expectation {
    Expectation::firing("fork-failures")
        .ends_with("/subject/cgroup/path", format!("/{}{below}", cgroup.name()))
}
