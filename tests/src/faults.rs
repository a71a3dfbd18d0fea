//! Faults: what is done to the agent itself, or to the ground it stands on. Each has a verdict of its own;
//! they are played when they are named.

use anyhow::{Result, ensure};

use crate::init;
use crate::report::Verdict;
use crate::session::Setup;

mod bpf_objects;
mod churn;
mod clock;
mod kill;
mod modules;
mod objects;
mod suspend;
mod suspend_tc;
mod two_agents;
mod wait;
mod watched;

/// Every fault.
pub const ALL: &[Fault] = &[
    bpf_objects::FAULT,
    kill::FAULT,
    two_agents::FAULT,
    suspend::FAULT,
    suspend_tc::FAULT,
    clock::FAULT,
    modules::FAULT,
    churn::FAULT,
];

/// Something that goes wrong with the agent or below it.
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens.
    pub summary: &'static str,
    /// What must be so nevertheless.
    pub expected: &'static str,
    /// Whether it needs a machine of its own: it changes the whole node, or judges all that is on it.
    guest_only: bool,
    /// Does it and judges; a sentence on what was seen.
    check: fn(&Setup) -> Result<String>,
}

/// Finds a fault by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Fault> {
    ALL.iter().find(|fault| fault.name == name)
}

/// Plays a fault.
#[must_use]
pub fn verdict(fault: &Fault, setup: &Setup) -> Verdict {
    match check(fault, setup) {
        Ok(detail) => Verdict::new(fault.name, true, detail),
        Err(error) => Verdict::new(fault.name, false, format!("{error:#}")),
    }
}

fn check(fault: &Fault, setup: &Setup) -> Result<String> {
    ensure!(
        !fault.guest_only || init::is_guest(),
        "it needs a guest: `cargo xtask vm 6.1 -- /init run {} ...`",
        fault.name
    );
    (fault.check)(setup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn names_tell_faults_from_scenarios() {
        for (number, fault) in ALL.iter().enumerate() {
            assert!(fault.name.starts_with("fault-"), "{}", fault.name);
            assert!(scenario::find(fault.name).is_none(), "{}", fault.name);
            assert!(ALL[number + 1..].iter().all(|other| other.name != fault.name));
        }
    }
}
