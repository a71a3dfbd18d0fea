//! Bad actors and their innocent doubles, each a process of its own: hidden subcommands.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Subcommand;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;

mod bpf_agent;
pub mod fork;
mod netlink;
mod tc_agent;
mod tc_target;
mod tc_toggle;

/// What a workload says on standard output, one JSON object a line.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "ack", rename_all = "kebab-case")]
pub enum Ack {
    /// The first thing the agent may find fault with was done.
    FirstBadAct { at: Moment },
    /// All was done, this many times.
    Done { count: u64 },
}

impl Ack {
    /// Tells the scenario that started this process.
    fn send(self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &self)?;
        writeln!(out).and_then(|()| out.flush()).context("the scenario no longer listens")
    }
}

/// The workloads.
#[derive(Subcommand)]
pub enum Workload {
    /// Re-attach filters without end, the way Calico's livelock does.
    TcToggle(tc_toggle::TcToggle),
    /// Do something to the filters of an interface, then stay.
    TcAgent(tc_agent::TcAgent),
    /// Do something with programs on an interface, then stay.
    BpfAgent(bpf_agent::BpfAgent),
    /// Fill what is limited, then fail to fork.
    ForkFail(fork::ForkFail),
    /// Fork and reap.
    ForkStorm(fork::ForkStorm),
    /// Open netlink sockets and never close them.
    NetlinkLeak(netlink::Leak),
    /// Open netlink sockets once and hold them.
    NetlinkHold(netlink::Hold),
    /// Open a netlink socket, use it, close it, again and again.
    NetlinkChurn(netlink::Churn),
}

/// Plays a workload in this process.
pub fn run(workload: &Workload) -> Result<()> {
    end_with_parent()?;
    match workload {
        Workload::TcToggle(args) => tc_toggle::run(args),
        Workload::TcAgent(args) => tc_agent::run(args),
        Workload::BpfAgent(args) => bpf_agent::run(args),
        Workload::ForkFail(args) => fork::fail(args),
        Workload::ForkStorm(args) => fork::storm(args),
        Workload::NetlinkLeak(args) => netlink::leak(args),
        Workload::NetlinkHold(args) => netlink::hold(args),
        Workload::NetlinkChurn(args) => netlink::churn(args),
    }
}

/// A scenario that is killed takes its actors with it.
fn end_with_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("cannot ask to end with the parent")
}

/// Stays alive, holding what it has, until it is killed.
fn stay() -> ! {
    loop {
        std::thread::park();
    }
}
