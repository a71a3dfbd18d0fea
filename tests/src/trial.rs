//! Trials: incidents of the agent itself, judged by more than its findings.

use anyhow::Result;

use crate::scenarios::dying_node;
use crate::session::Setup;

/// Every trial, in the order they are played, after the scenarios.
pub const ALL: &[Trial] = &[dying_node::TRIAL];

/// Something that is done to an agent of its own.
pub struct Trial {
    /// Its name on the command line, among the scenarios'.
    pub name: &'static str,
    /// What happens.
    pub summary: &'static str,
    /// What the agent must do.
    pub expected: &'static str,
    /// Does it, and says what the agent did.
    pub play: fn(&Setup) -> Result<String>,
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
