//! Forks refused for other reasons than a cgroup's limit: the errno is often the same, the cause is not.

use anyhow::{Context, Result};

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::lack::Lack;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::scenario::{Act, Played, Scenario, Stage};
use crate::scenarios::fork_pids_max::{FORK_STORM, fork_fail};
use crate::workload::fork::{NPROC, NS_PID_MAX, STRANGER};

/// More than anything here fills.
const ROOM: u32 = 1_000;
const FAILURES: u32 = 8;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "fork-causes",
    summary: "forks are refused by a user's limit, by pid namespaces, for want of memory, and into another cgroup",
    expected: "fork-failures with that cause",
    config: "",
    prelude: None,
    quiet: &[FORK_STORM],
    acts: &[
        Act { summary: "a user reaches RLIMIT_NPROC", play: nproc, resolves: false },
        Act { summary: "a pid namespace has lost its init", play: dead_pid_ns, resolves: false },
        Act {
            summary: "a pid namespace is at a pid_max of its own",
            play: pid_ns_max,
            resolves: false,
        },
        Act { summary: "a memory cgroup has nothing left", play: memory, resolves: false },
        Act {
            summary: "a daemon starts tasks in a cgroup that is full",
            play: into_cgroup,
            resolves: false,
        },
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

fn pid_ns_max(_: &Stage) -> Result<Played> {
    Lack::feature("pid_max of a pid namespace", (6, 14))?;
    refused("pid-namespace-max", |expected| {
        expected
            .is("/evidence/errno", "EAGAIN")
            .is("/evidence/cause/kind", "pid_max")
            .is("/evidence/cause/level", 1)
            .is("/evidence/cause/limit", NS_PID_MAX)
    })
}

fn memory(_: &Stage) -> Result<Played> {
    let cgroup = PidsCgroup::with_memory(ROOM)?;
    Lack::one_hierarchy(cgroup.is_some())?;
    let cgroup = cgroup.context("no cgroup")?;
    let (path, failures) = (cgroup.path().display().to_string(), FAILURES.to_string());
    let args = ["fork-memory", "--cgroup", &path, "--failures", &failures];
    let mut victim = Actor::start("batch-job", args)?;
    let since = victim.first_bad_act()?;
    victim.done()?;
    let expected =
        about(&cgroup).is("/evidence/errno", "ENOMEM").is("/evidence/cause/kind", "memory");
    let expected = vec![expected];
    Ok(Played { since, expected, props: vec![Box::new(victim), Box::new(cgroup)] })
}

/// As systemd and runc do it: they are in a cgroup that has room.
fn into_cgroup(stage: &Stage) -> Result<Played> {
    const MAX: u32 = 8;
    let (own, full) = (PidsCgroup::create(ROOM)?, PidsCgroup::create(MAX)?);
    // clone3 takes cgroups of v2 only.
    Lack::one_hierarchy(full.is_v2())?;
    let into = ["--into".into(), full.path().into()];
    let (mut daemon, since) = fork_fail("runc", FAILURES, &own, "into-cgroup", &into)?;
    daemon.done()?;
    // A rung that sees no arguments must not name the caller's cgroup as the one that is full.
    let expected = if stage.sees_arguments() {
        Expectation::firing("fork-failures")
            .severity(Severity::Info)
            .is("/evidence/into_cgroup", true)
            .is("/evidence/cause/kind", "pids_max")
            .is("/evidence/cause/owner_steps", 0)
            .is("/evidence/cause/current", MAX)
            .ends_with("/subject/cgroup/path", format!("/{}", full.name()))
            .ends_with("/subject/limit_owner/path", format!("/{}", full.name()))
    } else {
        Expectation::firing("fork-failures")
            .is("/evidence/cause/kind", "unresolved")
            .ends_with("/subject/cgroup/path", format!("/{}", own.name()))
    };
    let expected = vec![expected.is("/subject/process/comm", "runc")];
    Ok(Played { since, expected, props: vec![Box::new(daemon), Box::new(full), Box::new(own)] })
}

fn refused(stop: &str, expecting: fn(Expectation) -> Expectation) -> Result<Played> {
    let cgroup = PidsCgroup::create(ROOM)?;
    let (mut victim, since) = fork_fail("batch-job", FAILURES, &cgroup, stop, &[])?;
    victim.done()?;
    let expected = vec![expecting(about(&cgroup))];
    Ok(Played { since, expected, props: vec![Box::new(victim), Box::new(cgroup)] })
}

/// A warning about a cgroup in which clones were refused.
fn about(cgroup: &PidsCgroup) -> Expectation {
    Expectation::firing("fork-failures")
        .severity(Severity::Warning)
        .ends_with("/subject/cgroup/path", format!("/{}", cgroup.name()))
        .at_least("/evidence/failures", 5)
}
