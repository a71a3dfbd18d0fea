//! The kernel side as the agent sees it: loads the object, attaches hooks, reads counters.

pub mod counters;
pub mod hook;
pub mod ladder;
pub mod object;
pub mod refusal;
