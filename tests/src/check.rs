//! What is judged beside the scenarios: no incident and its finding, but what the agent says of itself.

use crate::report::Verdict;
use crate::session::Setup;

mod canary;
mod selftest;

/// A check with a verdict of its own.
pub struct Check {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is checked.
    pub summary: &'static str,
    /// Does it; what it saw, or what is wrong.
    run: fn(&Setup) -> anyhow::Result<String>,
}

/// Every check, in the order they are made.
pub const ALL: &[Check] = &[selftest::PROOF, selftest::BROKEN, canary::CHECK];

impl Check {
    /// Makes it.
    #[must_use]
    pub fn verdict(&self, setup: &Setup) -> Verdict {
        match (self.run)(setup) {
            Ok(detail) => Verdict::new(self.name, true, detail),
            Err(error) => Verdict::new(self.name, false, format!("{error:#}")),
        }
    }
}

/// Finds a check by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.name == name)
}
