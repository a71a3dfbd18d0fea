//! A cgroup at its pids.max: whatever in it asks for a task is refused with EAGAIN.

use anyhow::Result;

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
    summary: "a process in a cgroup at its pids.max forks by every way there is",
    expected: "fork-failures about that cgroup; critical at once when the victim is a kubelet",
    config: "",
    quiet: &[FORK_STORM, FEW_FAILURES],
    acts: &[
        Act { summary: "a batch job is refused 12 tasks", play: batch_job, resolves: false },
        Act { summary: "a kubelet is refused one task", play: kubelet, resolves: false },
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

fn batch_job(stage: &Stage) -> Result<Played> {
    let (played, cgroup) = victim(stage, "batch-job", 12)?;
    Ok(expecting(played, about(&cgroup).at_least("/evidence/failures", 5)))
}

fn kubelet(stage: &Stage) -> Result<Played> {
    let (played, cgroup) = victim(stage, "kubelet", 1)?;
    let expected =
        about(&cgroup).severity(Severity::Critical).is("/subject/process/comm", "kubelet");
    Ok(expecting(played, expected))
}

/// What a finding about the cgroup says in any case.
fn about(cgroup: &str) -> Expectation {
    Expectation::firing("fork-failures")
        .ends_with("/subject/cgroup/path", format!("/{cgroup}"))
        .is("/evidence/errno", "EAGAIN")
}

fn expecting(played: Played, expected: Expectation) -> Played {
    Played { expected: vec![expected], ..played }
}

/// Starts a victim in a cgroup of its own and has it fail; also tells the cgroup's name.
fn victim(stage: &Stage, comm: &str, failures: u32) -> Result<(Played, String)> {
    let cgroup = PidsCgroup::create(PIDS_MAX)?;
    let name = cgroup.name().to_owned();
    stage.reporter.progress(format!("{comm} fills cgroup {name} up to pids.max {PIDS_MAX}"));
    let cgroup_path = cgroup.path().as_os_str().to_owned();
    let args = [
        "fork-fail".into(),
        "--cgroup".into(),
        cgroup_path,
        "--failures".into(),
        failures.to_string().into(),
    ];
    let mut victim = Actor::start(comm, args)?;
    let since = victim.first_bad_act()?;
    victim.done()?;
    let played =
        Played { since, expected: Vec::new(), props: vec![Box::new(victim), Box::new(cgroup)] };
    Ok((played, name))
}

fn storm(_: &Stage) -> Result<Silence> {
    Actor::start("batch-job", ["fork-storm", "--count", "1000"])?.finish()?;
    // A fork that succeeds is no event.
    Ok(Silence { events: 0, props: Vec::new() })
}

fn few_failures(stage: &Stage) -> Result<Silence> {
    const FAILURES: u32 = 4;
    let (played, _) = victim(stage, "batch-job", FAILURES)?;
    Ok(Silence { events: FAILURES.into(), props: played.props })
}
