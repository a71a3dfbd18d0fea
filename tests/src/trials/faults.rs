//! Faults: what is done to the agent itself, or to the ground it stands on.

pub mod bpf_objects;
pub mod churn;
pub mod clock;
pub mod kill;
pub mod late_module;
pub mod left_out;
mod loading;
pub mod modules;
mod objects;
pub mod suspend;
pub mod suspend_tc;
pub mod two_agents;
mod wait;
mod watched;
