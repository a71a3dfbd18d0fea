//! What a scenario is, and the list of all of them.

use std::any::Any;
use std::path::PathBuf;

use anyhow::Result;

use crate::clock::Moment;
use crate::expect::Expectation;
use crate::lack::Skips;
use crate::metrics::Endpoint;
use crate::report::Reporter;
use crate::scenarios::{
    fd_leak, firewall_backends, flood, fork_causes, fork_headroom, fork_node_limits, fork_pids_max,
    lifecycle, netlink_birthplace, netlink_leak, netlink_seed, netlink_shared, quiet_control,
    rtnl_pressure, tc_agents, tc_asymmetry, tc_before_agent, tc_bpf_attach, tc_handle_toggle,
    tc_sweep, who_pod,
};

/// Every scenario, in the order they are played.
pub const ALL: &[Scenario] = &[
    tc_handle_toggle::SCENARIO,
    tc_agents::SCENARIO,
    tc_asymmetry::SCENARIO,
    tc_sweep::SCENARIO,
    tc_before_agent::SCENARIO,
    tc_bpf_attach::SCENARIO,
    fork_pids_max::SCENARIO,
    fork_causes::SCENARIO,
    fork_node_limits::SCENARIO,
    fork_headroom::SCENARIO,
    netlink_leak::SCENARIO,
    netlink_seed::SCENARIO,
    rtnl_pressure::SCENARIO,
    netlink_shared::SCENARIO,
    fd_leak::SCENARIO,
    netlink_birthplace::SCENARIO,
    who_pod::SCENARIO,
    firewall_backends::SCENARIO,
    flood::SCENARIO,
    lifecycle::SCENARIO,
    quiet_control::SCENARIO,
];

/// The main job, in the order the demo shows it under one agent: the three disasters, who and where in
/// a cluster and in a program, then normal life.
pub const DEMO: &[&Scenario] = &[
    &tc_handle_toggle::SCENARIO,
    &fork_pids_max::SCENARIO,
    &netlink_leak::SCENARIO,
    &netlink_birthplace::SCENARIO,
    &fd_leak::SCENARIO,
    &who_pod::SCENARIO,
    &quiet_control::SCENARIO,
];

/// An incident, what must be found of it, and the same tools used well, which must stay quiet.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens.
    pub summary: &'static str,
    /// What must be found.
    pub expected: &'static str,
    /// The agent's configuration (TOML); empty means its defaults.
    pub config: &'static str,
    /// What is there before the agent; `None` when the agent is there first.
    pub prelude: Option<Prelude>,
    /// The quiet controls, played before the acts; what they leave running stays beside them.
    pub quiet: &'static [Quiet],
    /// The bad acts; none in a scenario that only controls.
    pub acts: &'static [Act],
}

/// An incident that is under way when the agent starts.
pub struct Prelude {
    /// What happened.
    pub summary: &'static str,
    /// Does it; all of it must be found after the agent's start.
    pub play: fn(&Stage) -> Result<Played>,
    /// Whether its findings must resolve soon after the props are gone.
    pub resolves: bool,
    /// Where none of it can be found, and nothing may be said.
    pub unseen_on: Option<Unseen>,
}

/// A rung on which the agent cannot know of something.
#[derive(Debug)]
pub struct Unseen {
    pub signal: &'static str,
    pub hook: &'static str,
    pub rung: &'static str,
    /// Why it cannot.
    pub why: &'static str,
}

/// A bad act.
pub struct Act {
    /// What happens.
    pub summary: &'static str,
    /// Does it, up to the first bad thing; more may go on in the props.
    pub play: fn(&Stage) -> Result<Played>,
    /// Whether its finding must resolve soon after the props are gone.
    pub resolves: bool,
}

/// A bad act under way.
pub struct Played {
    /// When the first bad thing was done.
    pub since: Moment,
    /// What must be found; the verdict names the first.
    pub expected: Vec<Expectation>,
    /// What keeps the condition up.
    pub props: Props,
}

/// Normal life of a node.
pub struct Quiet {
    /// What happens.
    pub summary: &'static str,
    /// The signal whose events it causes.
    pub signal: &'static str,
    /// Does it.
    pub play: fn(&Stage) -> Result<Silence>,
}

/// Normal life that was lived.
pub struct Silence {
    /// How many events it caused at least: an agent that took in fewer proves nothing.
    pub events: u64,
    /// What goes on being normal.
    pub props: Props,
}

/// Guards that clean up when dropped, in this order: actors come before what they act on.
pub type Props = Vec<Box<dyn Any>>;

/// What an act has at hand.
pub struct Stage {
    /// Where progress is told.
    pub reporter: Reporter,
    /// A real eBPF classifier, if there is one.
    pub classifier: Option<PathBuf>,
    /// The rung the agent was told to use; its choice without.
    pub rung: Option<String>,
    /// What was left out of the scenario so far.
    pub skips: Skips,
    /// What the agent tells of itself.
    pub metrics: Endpoint,
}

impl Stage {
    /// Whether the agent sees the arguments of what it hooks.
    #[must_use]
    pub fn sees_arguments(&self) -> bool {
        self.rung.as_ref().is_none_or(|rung| rung == "fexit")
    }
}

/// Finds a scenario by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        for (number, scenario) in ALL.iter().enumerate() {
            assert!(
                scenario.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{}",
                scenario.name
            );
            assert!(
                ALL[number + 1..].iter().all(|other| other.name != scenario.name),
                "{}",
                scenario.name
            );
        }
    }

    #[test]
    fn every_incident_has_a_quiet_control() {
        assert!(ALL.iter().all(|scenario| !scenario.quiet.is_empty()));
    }

    #[test]
    fn the_control_of_controls_plays_every_quiet_one() {
        let names = |quiet: &'static [Quiet]| quiet.iter().map(|quiet| quiet.summary);
        let played: BTreeSet<_> = names(quiet_control::SCENARIO.quiet).collect();
        let all: BTreeSet<_> = ALL.iter().flat_map(|scenario| names(scenario.quiet)).collect();
        assert_eq!(played, all);
    }
}
