//! Bad actors and their innocent doubles, each a process of its own: hidden subcommands.

use std::io::Write;

use anyhow::{Context, Result};
use clap::Subcommand;
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::clock::Moment;

mod bpf_agent;
mod contained;
pub mod fd;
mod firewall;
mod flood;
pub mod fork;
mod leaker;
mod netlink;
mod netlink_share;
mod netlink_told;
mod netns_churn;
mod place;
mod rtnl;
mod tc_agent;
mod tc_sweep;
mod tc_target;
mod tc_toggle;
mod unprivileged;

/// What a workload says on standard output, one JSON object a line.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "ack", rename_all = "kebab-case")]
pub enum Ack {
    /// The first thing the agent may find fault with was done.
    FirstBadAct { at: Moment },
    /// It goes on, and has done this much.
    Busy { done: u64 },
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
    /// Attach to many interfaces, and write all their filters again.
    TcSweep(tc_sweep::TcSweep),
    /// Do something with programs on an interface, then stay.
    BpfAgent(bpf_agent::BpfAgent),
    /// Fill what is limited, then fail to fork.
    ForkFail(fork::ForkFail),
    /// Fail to fork for want of memory.
    ForkMemory(fork::ForkMemory),
    /// Fork and reap.
    ForkStorm(fork::ForkStorm),
    /// Fill a cgroup with sleeping children.
    ForkGrow(fork::ForkGrow),
    /// Open netlink sockets and never close them.
    NetlinkLeak(netlink::Leak),
    /// Open netlink sockets once and hold them.
    NetlinkHold(netlink::Hold),
    /// Open a netlink socket, use it, close it, again and again.
    NetlinkChurn(netlink::Churn),
    /// Open netlink sockets; close them all, and open some more, when told.
    NetlinkTold(netlink_told::Told),
    /// Create network namespaces with interfaces and filters, and leave each for the next.
    NetnsChurn(netns_churn::Churn),
    /// Make and delete many links without end.
    RtnlStorm(rtnl::Storm),
    /// Change a link without end, several at a time.
    RtnlTouch(rtnl::Touch),
    /// Look at the links again and again.
    RtnlShow(rtnl::Show),
    /// Hand netlink sockets on by every way there is, then close them.
    NetlinkShare(netlink_share::Share),
    /// Keep the netlink sockets that the parent hands on.
    NetlinkKeep(netlink_share::Keep),
    /// Open fds of one kind and never close them.
    FdLeak(fd::Leak),
    /// Open files once and hold them.
    FdHold(fd::Hold),
    /// Open fds and close them all, again and again.
    FdSaw(fd::Saw),
    /// Become a program without `CAP_SYS_ADMIN`.
    Unprivileged(unprivileged::Unprivileged),
    /// Become the program of a container.
    Contained(contained::Contained),
    /// Write rules by one backend of iptables after the other.
    FirewallWrite(firewall::Write),
    /// Choose a backend of iptables as Felix does, where nothing can fork.
    FirewallChoose(firewall::Choose),
    /// Ask for tasks in a full cgroup, as fast as it goes.
    ForkFlood(flood::ForkFlood),
    /// Open and close netlink sockets as fast as it goes, then hold some.
    NetlinkFlood(flood::NetlinkFlood),
    /// Make and delete a clsact as fast as it goes.
    TcFlood(flood::TcFlood),
    /// Become a program that opens netlink sockets and never closes them.
    Leaker(leaker::Leaker),
}

/// Plays a workload in this process.
pub fn run(workload: &Workload) -> Result<()> {
    end_with_parent()?;
    match workload {
        Workload::TcToggle(args) => tc_toggle::run(args),
        Workload::TcAgent(args) => tc_agent::run(args),
        Workload::TcSweep(args) => tc_sweep::run(args),
        Workload::BpfAgent(args) => bpf_agent::run(args),
        Workload::ForkFail(args) => fork::fail(args),
        Workload::ForkMemory(args) => fork::memory(args),
        Workload::ForkStorm(args) => fork::storm(args),
        Workload::ForkGrow(args) => fork::grow(args),
        Workload::NetlinkLeak(args) => netlink::leak(args),
        Workload::NetlinkHold(args) => netlink::hold(args),
        Workload::NetlinkChurn(args) => netlink::churn(args),
        Workload::NetlinkTold(args) => netlink_told::run(args),
        Workload::NetnsChurn(args) => netns_churn::run(args),
        Workload::RtnlStorm(args) => rtnl::storm(args),
        Workload::RtnlTouch(args) => rtnl::touch(args),
        Workload::RtnlShow(args) => rtnl::show(args),
        Workload::NetlinkShare(args) => netlink_share::share(args),
        Workload::NetlinkKeep(args) => netlink_share::keep(args),
        Workload::FdLeak(args) => fd::leak(args),
        Workload::FdHold(args) => fd::hold(args),
        Workload::FdSaw(args) => fd::saw(args),
        Workload::Unprivileged(args) => unprivileged::run(args),
        Workload::Contained(args) => contained::run(args),
        Workload::FirewallWrite(args) => firewall::write(args),
        Workload::FirewallChoose(args) => firewall::choose(args),
        Workload::ForkFlood(args) => flood::fork(args),
        Workload::NetlinkFlood(args) => flood::netlink(args),
        Workload::TcFlood(args) => flood::tc(args),
        Workload::Leaker(args) => leaker::run(args),
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
