//! Trials: what is done to the agent itself, or to the ground it stands on, and what it says of itself;
//! judged by more than its findings.

use anyhow::{Result, ensure};

use crate::init;
use crate::report::Verdict;
use crate::session::Setup;
use crate::trials::{
    canary, cgroup_namespace, dying_node, faults, hostile_names, kubernetes, privileges, reload,
    selftest, watchdog,
};

/// Every trial, in the order they are played, after the scenarios.
pub const ALL: &[Trial] = &[
    selftest::PROOF,
    selftest::BROKEN,
    canary::TRIAL,
    watchdog::TRIAL,
    reload::TRIAL,
    cgroup_namespace::TRIAL,
    hostile_names::TRIAL,
    dying_node::TRIAL,
    kubernetes::TRIAL,
    privileges::TRIAL,
    faults::bpf_objects::TRIAL,
    faults::kill::TRIAL,
    faults::two_agents::TRIAL,
    faults::suspend::TRIAL,
    faults::suspend_tc::TRIAL,
    faults::clock::TRIAL,
    faults::modules::TRIAL,
    faults::late_module::TRIAL,
    faults::left_out::TRIAL,
    faults::churn::TRIAL,
];

/// The one with pods, which the demo plays too.
pub const KUBERNETES: &str = kubernetes::TRIAL.name;

/// Something that is done to an agent of its own.
pub struct Trial {
    /// Its name on the command line, among the scenarios'.
    pub name: &'static str,
    /// What happens.
    pub summary: &'static str,
    /// What the agent must do.
    pub expected: &'static str,
    /// Whether it needs a guest for itself, or takes long: it changes the whole node, or judges all that
    /// is on it. It is played when it is named.
    pub own_guest: bool,
    /// Does it, and says what the agent did.
    pub play: fn(&Setup) -> Result<String>,
}

impl Trial {
    /// Plays it and judges.
    #[must_use]
    pub fn verdict(&self, setup: &Setup) -> Verdict {
        match self.played(setup) {
            Ok(detail) => Verdict::new(self.name, true, detail),
            Err(error) => Verdict::new(self.name, false, format!("{error:#}")),
        }
    }

    fn played(&self, setup: &Setup) -> Result<String> {
        let name = self.name;
        ensure!(
            !self.own_guest || init::is_guest(),
            "it needs a guest: `cargo xtask vm 6.1 -- /init run {name} ...`"
        );
        (self.play)(setup)
    }
}

/// Finds a trial by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Trial> {
    ALL.iter().find(|trial| trial.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn names_are_unique_and_plain() {
        for trial in ALL {
            assert!(
                trial.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{}",
                trial.name
            );
            assert!(scenario::find(trial.name).is_none(), "{}", trial.name);
            assert_eq!(ALL.iter().filter(|other| other.name == trial.name).count(), 1);
        }
    }
}
