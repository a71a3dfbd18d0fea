//! Forks refused for other reasons than a cgroup's limit: the errno is often the same, the cause is not.

use anyhow::Result;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::cgroup::PidsCgroup;
use crate::scenario::{Act, Played, Scenario, Stage};
use crate::scenarios::fork_pids_max::{FORK_STORM, fork_fail};
use crate::workload::fork::{NPROC, STRANGER};

/// More than anything here fills.
const ROOM: u32 = 1_000;
const FAILURES: u32 = 8;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "fork-causes",
    summary: "forks are refused by a user's limit and by a dead pid namespace",
    expected: "fork-failures with that cause",
    config: "",
    prelude: None,
    quiet: &[FORK_STORM],
    acts: &[
        Act { summary: "a user reaches RLIMIT_NPROC", play: nproc, resolves: false },
        Act { summary: "a pid namespace has lost its init", play: dead_pid_ns, resolves: false },
    ],
};

fn nproc(_: &Stage) -> Result<Played> {
    refused("nproc", |expected| {
        expected
            .is("/evidence/errno", "EAGAIN")
            .is("/evidence/cause/kind", "rlimit_nproc")
            .is("/evidence/cause/uid", STRANGER)
            .is("/evidence/cause/current", NPROC)
            .is("/evidence/cause/limit", NPROC)
    })
}

fn dead_pid_ns(_: &Stage) -> Result<Played> {
    refused("dead-pid-namespace", |expected| {
        expected.is("/evidence/errno", "ENOMEM").is("/evidence/cause/kind", "pid_namespace_dying")
    })
}

fn refused(stop: &str, expecting: fn(Expectation) -> Expectation) -> Result<Played> {
    let cgroup = PidsCgroup::create(ROOM)?;
    let (mut victim, since) = fork_fail("batch-job", FAILURES, &cgroup, stop)?;
    victim.done()?;
    let expected = Expectation::firing("fork-failures")
        .severity(Severity::Warning)
        .ends_with("/subject/cgroup/path", format!("/{}", cgroup.name()))
        .at_least("/evidence/failures", 5);
    let expected = vec![expecting(expected)];
    Ok(Played { since, expected, props: vec![Box::new(victim), Box::new(cgroup)] })
}
