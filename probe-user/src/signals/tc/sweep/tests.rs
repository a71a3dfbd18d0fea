use super::*;
use crate::{
    event::Body,
    signals::{
        tc::{
            TcChange,
            link::{EGRESS, INGRESS},
            tests::{bench, body, request, tc},
        },
        testing::{Bench, SECOND, comm},
    },
};

/// When the agent starts; its grace ends two minutes later.
const START: BootNs = 100 * SECOND;
const SETTLED: BootNs = START + 121 * SECOND;

fn filter(ifindex: i32, parent: u32, started: Option<BootNs>) -> TcRequest {
    let mut request = TcRequest { parent, ..request(Operation::Write, 0) };
    request.interface.index = ifindex;
    request.interface.name = Some(format!("cali{ifindex}"));
    request.started_by = Some((40, comm("calico-node")));
    request.starter_start = started;
    request
}

/// A node with ten interfaces that the snapshot found.
fn node() -> Bench {
    let mut bench = bench();
    for (ifindex, parent) in (0..10).flat_map(|link| [INGRESS, EGRESS].map(|parent| (link, parent)))
    {
        bench.at(SECOND, Body::Tc(TcChange::Seeded(filter(ifindex, parent, None))));
    }
    bench
}

fn sweep(bench: &mut Bench, at: BootNs, links: i32, started: Option<BootNs>) {
    for (ifindex, parent) in
        (0..links).flat_map(|link| [INGRESS, EGRESS].map(|parent| (link, parent)))
    {
        bench.at(at, body(filter(ifindex, parent, started)));
    }
}

fn says(bench: &mut Bench, now: BootNs) -> Option<Sweep> {
    bench.tick(now).iter().find_map(|condition| match tc(condition) {
        TcEvidence::Sweep(sweep) => Some(sweep.clone()),
        _ => None,
    })
}

#[test]
fn two_sweeps_in_a_minute_are_critical() {
    let mut bench = node();
    sweep(&mut bench, SETTLED, 10, Some(START));
    assert_eq!(says(&mut bench, SETTLED + SECOND), None, "one may be anything");
    sweep(&mut bench, SETTLED + 59 * SECOND, 10, Some(START));
    let said = says(&mut bench, SETTLED + 60 * SECOND).expect("a finding");
    assert_eq!((said.sweeps, said.interfaces, said.known_interfaces), (2, 10, 10));
    assert_eq!((said.agent.pid, said.agent.comm.as_deref()), (40, Some("calico-node")));
    assert_eq!(said.agent_age_seconds, 181);
    assert_eq!(says(&mut bench, SETTLED + 61 * SECOND), None, "the first is too long ago");
}

#[test]
fn a_sweep_is_most_of_the_interfaces() {
    for (links, found) in [(7, false), (8, true)] {
        let mut bench = node();
        sweep(&mut bench, SETTLED, links, Some(START));
        sweep(&mut bench, SETTLED + SECOND, links, Some(START));
        assert_eq!(says(&mut bench, SETTLED + 2 * SECOND).is_some(), found, "{links} of 10");
    }
}

#[test]
fn few_interfaces_are_no_node() {
    for (links, found) in [(3, false), (4, true)] {
        let mut bench = bench();
        for n in 0..3 {
            sweep(&mut bench, SETTLED + n * SECOND, links, Some(START));
        }
        assert_eq!(says(&mut bench, SETTLED + 3 * SECOND).is_some(), found, "{links}");
    }
}

#[test]
fn the_first_write_of_a_filter_is_no_rewrite() {
    let mut bench = bench();
    sweep(&mut bench, SETTLED, 10, Some(START));
    sweep(&mut bench, SETTLED + SECOND, 10, Some(START));
    assert_eq!(says(&mut bench, SETTLED + 2 * SECOND), None, "a node that boots");
}

#[test]
fn restarts_are_quiet_within_the_grace() {
    let mut bench = node();
    for restart in 0..5 {
        let start = START + restart * 20 * SECOND;
        sweep(&mut bench, start + 10 * SECOND, 10, Some(start));
        assert_eq!(says(&mut bench, start + 11 * SECOND), None, "restart {restart}");
    }
    let mut bench = node();
    for n in 0..3 {
        sweep(&mut bench, SETTLED - SECOND, 10, Some(START));
        assert_eq!(says(&mut bench, SETTLED + n), None, "to the end of the grace");
    }
}

#[test]
fn an_agent_of_unknown_age_is_not_judged() {
    let mut bench = node();
    for n in 0..5 {
        sweep(&mut bench, SETTLED + n * SECOND, 10, None);
        assert_eq!(says(&mut bench, SETTLED + n * SECOND), None);
    }
}

#[test]
fn two_agents_that_each_sweep_once_and_other_namespaces_are_quiet() {
    let mut bench = node();
    for name in ["calico-node", "system-probe"] {
        for ifindex in 0..10 {
            let started_by = Some((41, comm(name)));
            bench.at(
                SETTLED,
                body(TcRequest { started_by, ..filter(ifindex, INGRESS, Some(START)) }),
            );
        }
    }
    assert_eq!(says(&mut bench, SETTLED + SECOND), None);
    let mut bench = node();
    for cookie in 10..20 {
        for n in 0..4 {
            let request = filter(2, INGRESS, Some(START));
            bench.at(SETTLED + n, body(TcRequest { netns_cookie: cookie, ..request }));
        }
    }
    assert_eq!(says(&mut bench, SETTLED + SECOND), None, "ten pods, each with an eth0");
}

#[test]
fn interfaces_that_are_gone_do_not_count() {
    let mut bench = node();
    for ifindex in 5..10 {
        bench.at(2 * SECOND, Body::Tc(TcChange::LinkGone { ifindex }));
    }
    sweep(&mut bench, SETTLED, 5, Some(START));
    sweep(&mut bench, SETTLED + SECOND, 5, Some(START));
    let said = says(&mut bench, SETTLED + 2 * SECOND).expect("a finding");
    assert_eq!((said.interfaces, said.known_interfaces), (5, 5));
}
