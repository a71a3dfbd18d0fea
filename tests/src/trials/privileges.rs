//! What the agent may do: which capabilities it uses, names when they are not there, and gives up.

use crate::privileges;
use crate::trial::Trial;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "privileges",
    summary: "the agent has all capabilities, then not CAP_SYS_PTRACE, then none",
    expected: "it tells all, and keeps only what it needs later; it names each it was not given",
    own_guest: true,
    play: privileges::check,
};
