//! Events and findings.

use super::{
    Kind::{Counter, Gauge, Histogram},
    Spec,
};

/// Upper bounds of the times (s) from an event on; the goal is 50 ms for 99 of 100.
const LATENCIES: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

catalog! {
    EVENTS: Spec {
        name: "nodeprobe_events_total",
        kind: Counter,
        labels: &["signal", "kind"],
        most: 13,
        help: "Events decoded, by signal and kind.",
        moves: "It grows with what happens on the node. One that stands still on a busy node is worth a look at nodeprobe_signal_coverage.",
    };
    DECODE_ERRORS: Spec {
        name: "nodeprobe_decode_errors_total",
        kind: Counter,
        labels: &["reason"],
        most: 3,
        help: "Records that could not be decoded, by reason.",
        moves: "It must stay at zero: the agent and its kernel programs disagree. Report it, with the version.",
    };
    FINDINGS: Spec {
        name: "nodeprobe_findings_total",
        kind: Counter,
        labels: &["rule", "severity"],
        most: 48,
        help: "Findings that fired, by rule and the severity they fired with.",
        moves: "Read the findings: each says who, where and what to do. docs/rules.md explains each rule.",
    };
    FINDINGS_FIRING: Spec {
        name: "nodeprobe_findings_firing",
        kind: Gauge,
        labels: &["rule", "severity"],
        most: 48,
        help: "Findings firing now, by rule and severity.",
        moves: "As above. One that stays is an incident that nobody ended.",
    };
    FINDINGS_DROPPED: Spec {
        name: "nodeprobe_findings_dropped_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Findings that had no room among those that fire.",
        moves: "More than 1,024 findings fire at once. Those that were told are enough to begin with; end them first.",
    };
    EVENT_LATENCY: Spec {
        name: "nodeprobe_event_latency_seconds",
        kind: Histogram(LATENCIES),
        labels: &["signal"],
        most: 5,
        help: "Time from an event in the kernel until the agent had decoded it, by signal.",
        moves: "Above 50 ms the agent gets too little CPU time, or the node is under a storm: look at its CPU limit and at nodeprobe_kernel_events_total.",
    };
    DETECTION_LATENCY: Spec {
        name: "nodeprobe_detection_latency_seconds",
        kind: Histogram(LATENCIES),
        labels: &["signal"],
        most: 6,
        help: "Time from the event, or the look, that made a rule hold until its finding was on the way to the sinks, by signal.",
        moves: "As above. Names of functions in user stacks may take up to 1 s, on a node that is busy.",
    };
    TRACKED: Spec {
        name: "nodeprobe_tracked",
        kind: Gauge,
        labels: &["signal"],
        most: 7,
        help: "Things a detector, or the book of findings, keeps state for, by signal.",
        moves: "It follows the size of the node, and is bounded.",
    };
    EVICTED: Spec {
        name: "nodeprobe_evicted_total",
        kind: Counter,
        labels: &["signal"],
        most: 7,
        help: "Things a detector, or the book of findings, forgot or left out for want of room, by signal.",
        moves: "A detector forgets the oldest: slow incidents may be missed. Something on the node makes very many sockets, interfaces or cgroups.",
    };
    RTNL_WAIT: Spec {
        name: "nodeprobe_rtnl_wait_seconds",
        kind: Histogram(super::WAITS),
        labels: &[],
        most: 1,
        help: "Waits for the RTNL mutex that were told by themselves.",
        moves: "Long waits hold up every change of the node's network: see the rule rtnl-pressure.",
    };
    RTNL_SHORT_WAITS: Spec {
        name: "nodeprobe_rtnl_short_waits_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Waits for the RTNL mutex that were told in sum: short, or above the budget.",
        moves: "Many tasks change the node's network at once. The sum of their time is what matters.",
    };
    RTNL_SHORT_WAIT_SECONDS: Spec {
        name: "nodeprobe_rtnl_short_wait_seconds_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Time of the waits for the RTNL mutex that were told in sum.",
        moves: "As above.",
    };
    RTNL_REQUEST: Spec {
        name: "nodeprobe_rtnl_request_seconds",
        kind: Histogram(REQUESTS),
        labels: &["object", "operation"],
        most: 4,
        help: "Time in the handlers of tc requests, by object and operation; where it is measured.",
        moves: "Requests that become slow hold the RTNL mutex for longer: many filters at one place, or a NIC's firmware.",
    };
}

/// Upper bounds of requests (s): most take some ten microseconds.
const REQUESTS: &[f64] = &[
    0.000_02, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];
