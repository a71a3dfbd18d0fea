//! A cgroup at its pids.max: whatever in it asks for a task is refused with EAGAIN.

use std::any::Any;
use std::ffi::{OsStr, OsString};

use anyhow::Result;

use crate::clock::Moment;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage};

/// Room for the victim and a few children.
const PIDS_MAX: u32 = 8;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "fork-pids-max",
    summary: "processes in cgroups at their pids.max fork by every way there is",
    expected: "fork-failures with the cgroup that has the limit; critical at once for a kubelet",
    config: "",
    prelude: None,
    quiet: &[FORK_STORM, FEW_FAILURES],
    acts: &[
        Act { summary: "a roll-out fills all pods' common limit", play: roll_out, resolves: false },
        Act { summary: "a kubelet is refused one task", play: kubelet, resolves: false },
        Act {
            summary: "a batch job hits a small limit of its own",
            play: own_limit,
            resolves: false,
        },
    ],
};

/// Many forks that succeed.
pub const FORK_STORM: Quiet =
    Quiet { summary: "a storm of forks that succeed", signal: "fork", play: storm };

/// Failures that stay below the threshold.
pub const FEW_FAILURES: Quiet = Quiet {
    summary: "four refused forks, fewer than the rule asks for",
    signal: "fork",
    play: few_failures,
};

/// Like kubepods, with a pod and a container below.
fn roll_out(stage: &Stage) -> Result<Played> {
    let pods = PidsCgroup::create(PIDS_MAX)?;
    let pod = pods.child("pod")?;
    let container = pod.child("container")?;
    let mut played = victim(stage, "batch-job", 12, &container)?;
    let expected = Expectation::firing("fork-failures")
        .severity(Severity::Warning)
        .ends_with("/subject/cgroup/path", format!("/{}/pod/container", pods.name()))
        .at_least("/evidence/failures", 5)
        .is("/subject/consumers/groups/0/threads", PIDS_MAX)
        .is("/subject/consumers/groups/0/share_percent", 100)
        .ends_with("/subject/consumers/groups/0/path", format!("/{}/pod/container", pods.name()));
    played.expected.push(stopped_by(expected, &pods, 2));
    played.props.extend([Box::new(container) as Box<dyn Any>, Box::new(pod), Box::new(pods)]);
    Ok(played)
}

fn kubelet(stage: &Stage) -> Result<Played> {
    alone(stage, "kubelet", 1, |expected| {
        expected.severity(Severity::Critical).is("/subject/process/comm", "kubelet")
    })
}

fn own_limit(stage: &Stage) -> Result<Played> {
    alone(stage, "batch-job", 12, |expected| {
        expected.severity(Severity::Info).at_least("/evidence/failures", 5)
    })
}

/// A victim in a cgroup that has the limit itself.
fn alone(
    stage: &Stage,
    comm: &str,
    failures: u32,
    expecting: fn(Expectation) -> Expectation,
) -> Result<Played> {
    let cgroup = PidsCgroup::create(PIDS_MAX)?;
    let mut played = victim(stage, comm, failures, &cgroup)?;
    let expected = Expectation::firing("fork-failures")
        .ends_with("/subject/cgroup/path", format!("/{}", cgroup.name()));
    played.expected.push(stopped_by(expecting(expected), &cgroup, 0));
    played.props.push(Box::new(cgroup));
    Ok(played)
}

fn stopped_by(expected: Expectation, owner: &PidsCgroup, steps: u64) -> Expectation {
    expected
        .is("/evidence/errno", "EAGAIN")
        .is("/evidence/cause/kind", "pids_max")
        .is("/evidence/cause/owner_steps", steps)
        .is("/evidence/cause/current", PIDS_MAX)
        .is("/evidence/cause/limit", PIDS_MAX)
        .ends_with("/subject/limit_owner/path", format!("/{}", owner.name()))
}

/// Starts a victim in a cgroup and has it fail.
fn victim(stage: &Stage, comm: &str, failures: u32, cgroup: &PidsCgroup) -> Result<Played> {
    let path = cgroup.path().display();
    stage.reporter.progress(format!("{comm} fills cgroup {path}"));
    let (mut victim, since) = fork_fail(comm, failures, cgroup, "cgroup", &[])?;
    victim.done()?;
    Ok(Played { since, expected: Vec::new(), props: vec![Box::new(victim)] })
}

/// Starts a process that forks in a cgroup until something stops it, and then fails to.
pub fn fork_fail(
    comm: &str,
    failures: u32,
    cgroup: &PidsCgroup,
    stop: &str,
    more: &[OsString],
) -> Result<(Actor, Moment)> {
    let (path, failures) = (cgroup.path().as_os_str(), failures.to_string());
    let args =
        ["fork-fail".as_ref(), "--cgroup".as_ref(), path, "--failures".as_ref(), failures.as_ref()];
    let stop: [&OsStr; 2] = ["--stop".as_ref(), stop.as_ref()];
    let further = more.iter().map(OsString::as_os_str);
    let mut victim = Actor::start(comm, args.into_iter().chain(stop).chain(further))?;
    let since = victim.first_bad_act()?;
    Ok((victim, since))
}

fn storm(_: &Stage) -> Result<Silence> {
    Actor::start("batch-job", ["fork-storm", "--count", "1000"])?.finish()?;
    // A fork that succeeds is no event.
    Ok(Silence { events: 0, props: Vec::new() })
}

fn few_failures(stage: &Stage) -> Result<Silence> {
    const FAILURES: u32 = 4;
    let cgroup = PidsCgroup::create(PIDS_MAX)?;
    let mut played = victim(stage, "batch-job", FAILURES, &cgroup)?;
    played.props.push(Box::new(cgroup));
    Ok(Silence { events: FAILURES.into(), props: played.props })
}
