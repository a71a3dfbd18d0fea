//! The normal life of a node, all of it under one agent with its default configuration.

use crate::scenario::Scenario;
use crate::scenarios::{fork_pids_max, netlink_leak, tc_bpf_attach, tc_handle_toggle};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "quiet-control",
    summary: "pods come and go, processes fork, daemons hold sockets, operators loop over tools",
    expected: "no finding, by an agent that has taken in all of it",
    config: "",
    prelude: None,
    quiet: &[
        tc_handle_toggle::POD_CHURN,
        tc_handle_toggle::REUSED_NAMES,
        tc_bpf_attach::ATTACH_ONCE,
        fork_pids_max::FORK_STORM,
        fork_pids_max::FEW_FAILURES,
        netlink_leak::HOLDERS,
        netlink_leak::CHURN,
        netlink_leak::TOOLS,
    ],
    acts: &[],
};
