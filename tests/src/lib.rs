//! Incidents played on a real kernel, and what the agent must say about them.

use std::time::Duration;

pub mod agent;
pub mod bpf;
pub mod clock;
pub mod doctor;
pub mod exec;
pub mod expect;
pub mod finding;
pub mod init;
pub mod interrupt;
pub mod lack;
pub mod metrics;
pub mod privileges;
pub mod props;
pub mod replay;
pub mod report;
pub mod rtnetlink;
pub mod runner;
pub mod scenario;
mod scenarios;
pub mod session;
pub mod tc;
pub mod trial;
mod trials;
pub mod workload;

/// How long anything may take before it counts as hung, on the slowest guest. Never a measure.
pub const HANG_GUARD: Duration = Duration::from_secs(90);
