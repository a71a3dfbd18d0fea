//! Cgroups that fill up: found before anything in them is refused.

use std::any::Any;

use anyhow::Result;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::scenario::{Act, Played, Props, Quiet, Scenario, Silence, Stage};
use crate::scenarios::fork_pids_max::FORK_STORM;

/// Above the size that is not looked at, and quickly filled.
const PIDS_MAX: u32 = 100;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "fork-headroom",
    summary: "pods' cgroups fill up: steadily, to a high level at once, and one with a limit of its own",
    expected: "fork-headroom before the limit is reached, with time left where it grows",
    config: "[fork]\npoll = \"1s\"\nhold = \"2s\"\n",
    prelude: None,
    quiet: &[FORK_STORM, STEADY],
    acts: &[
        Act { summary: "a cgroup of pods fills at a steady rate", play: steady, resolves: true },
        Act { summary: "a cgroup of pods is at 85 % and stays there", play: high, resolves: true },
        Act { summary: "a pod is near a small limit of its own", play: own_limit, resolves: true },
    ],
};

/// Cgroups far from their limits, or not on their way there; they stay while the acts are played.
pub const STEADY: Quiet = Quiet {
    summary: "cgroups of pods at 50 % and 79 % of pids.max, and one that goes from 30 to 70 % and back",
    signal: "fork",
    play: stay_below,
};

/// A cgroup with a limit, and in it a pod and a container where the tasks are.
struct Pods {
    actor: Actor,
    container: PidsCgroup,
    pod: PidsCgroup,
    pods: PidsCgroup,
}

impl Pods {
    /// Has `tasks` tasks at once, then `more`, one each `pause_ms`.
    fn create(tasks: u32, more: u32, pause_ms: u32) -> Result<Self> {
        let pods = PidsCgroup::create(PIDS_MAX)?;
        let pod = pods.child("pod")?;
        let container = pod.child("container")?;
        let actor = grow(&container, tasks, more, pause_ms)?;
        Ok(Self { actor, container, pod, pods })
    }

    fn finding(&self) -> Expectation {
        let name = self.pods.name();
        Expectation::firing("fork-headroom")
            .is("/evidence/kind", "pids_max")
            .is("/evidence/limit", PIDS_MAX)
            .ends_with("/subject/cgroup/path", format!("/{name}"))
            .ends_with("/subject/limit_owner/path", format!("/{name}"))
            .ends_with("/subject/consumers/groups/0/path", format!("/{name}/pod/container"))
    }

    fn props(self) -> Props {
        let Self { actor, container, pod, pods } = self;
        let groups = [container, pod, pods].map(|group| Box::new(group) as Box<dyn Any>);
        [Box::new(actor) as Box<dyn Any>].into_iter().chain(groups).collect()
    }
}

/// Starts a process that fills a cgroup, itself counted.
fn grow(cgroup: &PidsCgroup, tasks: u32, more: u32, pause_ms: u32) -> Result<Actor> {
    let path = cgroup.path().display().to_string();
    let [count, more, pause] = [tasks - 1, more, pause_ms].map(|number| number.to_string());
    let args = ["--cgroup", &path, "--count", &count, "--more", &more, "--pause-ms", &pause];
    Actor::start("batch-job", ["fork-grow"].iter().chain(&args))
}

fn steady(_: &Stage) -> Result<Played> {
    // Three a second: at 50 % it is fifteen seconds from full, at 70 % it turns round.
    let mut pods = Pods::create(10, 60, 300)?;
    let since = pods.actor.first_bad_act()?;
    let expected = pods
        .finding()
        .severity(Severity::Critical)
        .below("/evidence/used_percent", 80)
        .at_least("/evidence/slope_per_minute", 100)
        .below("/evidence/seconds_left", 60)
        .at_least("/subject/consumers/groups/0/threads", 30);
    Ok(Played { since, expected: vec![expected], props: pods.props() })
}

fn high(_: &Stage) -> Result<Played> {
    let mut pods = Pods::create(85, 0, 0)?;
    let since = pods.actor.first_bad_act()?;
    let expected = pods.finding().severity(Severity::Warning).is("/evidence/used_percent", 85);
    Ok(Played { since, expected: vec![expected], props: pods.props() })
}

fn own_limit(_: &Stage) -> Result<Played> {
    let pod = PidsCgroup::create(PIDS_MAX)?;
    let mut actor = grow(&pod, 95, 0, 0)?;
    let since = actor.first_bad_act()?;
    let expected = Expectation::firing("fork-headroom")
        .severity(Severity::Info)
        .is("/evidence/used_percent", 95)
        .ends_with("/subject/cgroup/path", format!("/{}", pod.name()));
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(actor), Box::new(pod)] })
}

fn stay_below(_: &Stage) -> Result<Silence> {
    let mut props = Props::new();
    for (tasks, more, pause_ms) in [(50, 0, 0), (79, 0, 0), (30, 40, 20)] {
        let mut pods = Pods::create(tasks, more, pause_ms)?;
        pods.actor.done()?;
        props.extend(pods.props());
    }
    // They cause no events: what is polled is judged to the end.
    Ok(Silence { events: 0, props })
}
