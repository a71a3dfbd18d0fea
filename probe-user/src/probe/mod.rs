//! The kernel side as the agent sees it: loads the object, attaches hooks, reads counters.

mod attach;
pub mod choice;
pub mod classify;
pub mod cost;
pub mod counters;
pub mod coverage;
pub mod ground;
pub mod hook;
mod ladder;
pub mod modules;
pub mod object;
pub mod reads;
pub mod refusal;
