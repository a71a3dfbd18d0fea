//! An agent is killed in the middle of two incidents, and another one takes over.

use std::fs;

use anyhow::{Result, ensure};

use super::objects::Objects;
use super::wait;
use super::watched::Watched;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::veth::Veth;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-kill",
    summary: "an agent is killed while sockets are leaked and filters toggle; another one starts",
    expected: "nothing of the first stays in the kernel; the second finds both, once each, with the \
               sockets from before it counted once",
    own_guest: true,
    play: check,
};

/// Open sockets of the daemon that leaks: more than are critical in the agent's defaults.
const LEAKED: u64 = 600;

fn check(setup: &Setup) -> Result<String> {
    let stage = &setup.stage;
    let before = Objects::list()?;
    let veth = Veth::create()?;
    let mut leaky = Actor::start("leaky-agent", ["netlink-leak", "--count", &LEAKED.to_string()])?;
    let mut calico = veth.actor(stage, "calico-node", "tc-toggle", &[])?;
    calico.first_bad_act()?;
    leaky.done()?;

    let mut first = Watched::start(setup, "")?;
    let knows_leak = first.knows_inodes()?;
    meet(&mut first, &veth, &leaky, knows_leak)?;
    let own = Objects::list()?.since(&before);
    first.said_nothing_else()?;
    first.agent.kill()?;
    let none = Objects::default();
    let gone = || Ok(Objects::list()?.since(&before).differs_from(&none));
    wait::until("BPF objects of a killed agent stay", gone)?;

    let mut second = Watched::start(setup, "")?;
    meet(&mut second, &veth, &leaky, knows_leak)?;
    let again = Objects::list()?.since(&before);
    ensure!(again == own, "{}", again.differs_from(&own).unwrap_or_default());
    let fired = |rule| second.agent.metric("nodeprobe_findings_total", &[("rule", rule)]);
    let (leaks, toggles) = (fired("netlink-leak")?, fired("tc-handle-toggle")?);
    ensure!(leaks == u64::from(knows_leak), "netlink-leak fired {leaks} times");
    // Once for each direction.
    ensure!(toggles <= 2, "tc-handle-toggle fired {toggles} times");
    second.end()?;
    wait::until("BPF objects of a stopped agent stay", gone)?;
    let sockets = match knows_leak {
        true => "sockets counted once",
        false => "sockets unknown: on this rung those from before the agent are",
    };
    Ok(format!("{} BPF objects each time, {sockets}", own.len()))
}

/// Both incidents are found, as they are.
fn meet(agent: &mut Watched, veth: &Veth, leaky: &Actor, knows_leak: bool) -> Result<()> {
    for rule in ["tc-rewrite-rate", "tc-asymmetry"] {
        agent.may_say(veth.about(rule, "calico-node"));
    }
    agent.expect(veth.about("tc-handle-toggle", "calico-node"))?;
    if knows_leak {
        agent.expect(
            Expectation::firing("netlink-leak")
                .severity(Severity::Critical)
                .is("/subject/process/pid", leaky.pid())
                .is("/evidence/open", sockets_of(leaky.pid())?)
                .is("/evidence/seeded", LEAKED)
                .is("/evidence/opened_total", 0),
        )?;
    }
    Ok(())
}

/// Sockets a process holds, by its fds.
fn sockets_of(pid: u32) -> Result<usize> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let links = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    Ok(links.filter(|link| link.to_string_lossy().starts_with("socket:")).count())
}
