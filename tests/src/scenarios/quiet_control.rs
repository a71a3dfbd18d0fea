//! The normal life of a node, all of it under one agent with its default configuration, but that it
//! looks at the fds each second: nobody would wait for minutes.

use crate::scenario::Scenario;
use crate::scenarios::{
    fd_leak, firewall_backends, fork_headroom, fork_pids_max, netlink_birthplace, netlink_leak,
    netlink_shared, rtnl_pressure, tc_agents, tc_asymmetry, tc_bpf_attach, tc_handle_toggle,
    tc_sweep, who_pod,
};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "quiet-control",
    summary: "pods come and go, processes fork, daemons hold sockets, operators loop over tools",
    expected: "no finding, by an agent that has taken in all of it",
    config: "[fd]\npoll = \"1s\"\n",
    prelude: None,
    quiet: &[
        tc_handle_toggle::POD_CHURN,
        tc_handle_toggle::REUSED_NAMES,
        tc_agents::OWN_PLACE,
        tc_asymmetry::SLOW_SWAP,
        tc_asymmetry::INGRESS_ONLY,
        tc_sweep::RESTARTS,
        tc_bpf_attach::ATTACH_ONCE,
        fork_pids_max::FORK_STORM,
        fork_pids_max::FEW_FAILURES,
        fork_headroom::STEADY,
        netlink_leak::HOLDERS,
        netlink_leak::CHURN,
        netlink_leak::TOOLS,
        rtnl_pressure::ONE_POD,
        rtnl_pressure::LINK_SHOW,
        netlink_shared::SHARED,
        fd_leak::FLAT,
        fd_leak::SAW,
        netlink_birthplace::DAEMONS,
        who_pod::HEALTHY_POD,
        firewall_backends::READERS,
        firewall_backends::NATIVE,
        firewall_backends::LOOPS,
    ],
    acts: &[],
};
