//! The scenarios, one a file.

pub mod fd_leak;
pub mod firewall_backends;
pub mod flood;
pub mod fork_causes;
pub mod fork_headroom;
pub mod fork_node_limits;
pub mod fork_pids_max;
pub mod lifecycle;
pub mod netlink_birthplace;
pub mod netlink_leak;
pub mod netlink_seed;
pub mod netlink_shared;
pub mod quiet_control;
pub mod rtnl_pressure;
pub mod tc_agents;
pub mod tc_asymmetry;
pub mod tc_before_agent;
pub mod tc_bpf_attach;
pub mod tc_handle_toggle;
pub mod tc_sweep;
pub mod who_pod;
