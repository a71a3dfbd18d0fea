//! A daemon that leaked its netlink sockets before there was an agent: an agent that is installed
//! because of a leak must see the leak.

use anyhow::Result;

use crate::clock::Moment;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::scenario::{Played, Prelude, Scenario, Stage, Unseen};
use crate::scenarios::netlink_leak;

/// Open sockets of the daemon that leaks: more than are critical in the agent's defaults.
const LEAKED: u64 = 600;
/// Open sockets of the daemon that does not.
const STEADY: u64 = 60;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "netlink-before-agent",
    summary: "netlink sockets that were leaked before the agent started",
    expected: "netlink-leak critical about the daemon at once, resolved at its end; \
               silence on the tracepoint rung, which cannot know of them",
    config: "[netlink]\nhold = \"2s\"\n",
    prelude: Some(PRELUDE),
    quiet: &[netlink_leak::CHURN],
    acts: &[],
};

/// What is there before the agent.
const PRELUDE: Prelude = Prelude {
    summary: "leaky-agent has leaked 600 sockets, steady-agent holds 60, and no agent watches",
    play: leak_and_hold,
    resolves: true,
    unseen_on: Some(Unseen {
        signal: "netlink",
        hook: "sockets",
        rung: "tracepoint",
        why: "it knows sockets by fd, and would not see one that it never saw opening close",
    }),
};

fn leak_and_hold(stage: &Stage) -> Result<Played> {
    let mut leaky = Actor::start("leaky-agent", ["netlink-leak", "--count", &LEAKED.to_string()])?;
    let mut steady =
        Actor::start("steady-agent", ["netlink-hold", "--count", &STEADY.to_string()])?;
    leaky.done()?;
    steady.done()?;
    stage.reporter.progress(format!("leaky-agent is process {}", leaky.pid()));
    let expected = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", leaky.pid())
        .is("/subject/process/comm", "leaky-agent")
        // Whichever it is: it is known.
        .ends_with("/subject/cgroup/path", "")
        .is("/evidence/open", LEAKED)
        .is("/evidence/seeded", LEAKED);
    // The agent comes next: no earlier moment can be held against it.
    let since = Moment::now();
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(leaky), Box::new(steady)] })
}
