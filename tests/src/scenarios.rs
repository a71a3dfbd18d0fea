//! The scenarios, one a file.

pub mod fork_causes;
pub mod fork_pids_max;
pub mod netlink_leak;
pub mod netlink_seed;
pub mod quiet_control;
pub mod tc_agents;
pub mod tc_bpf_attach;
pub mod tc_handle_toggle;
