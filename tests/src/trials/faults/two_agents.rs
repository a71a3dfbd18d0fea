//! Two agents on one node, as while one version replaces another.

use std::ffi::OsString;

use anyhow::{Result, ensure};

use super::watched::Watched;
use crate::expect::Expectation;
use crate::finding::Finding;
use crate::init;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::scenarios::fork_pids_max::fork_fail;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-two-agents",
    summary: "two agents, on different rungs where the kernel has them; then one of them ends",
    expected: "each finds each incident once and nothing about the other; the first works on alone",
    own_guest: true,
    play: check,
};

/// Room for a victim and a few children.
const PIDS_MAX: u32 = 8;
const FAILURES: u32 = 12;

fn check(setup: &Setup) -> Result<String> {
    let mut first = Watched::start(setup, "")?;
    let args = other_rung(setup);
    let mut second = Watched::start_with(setup, "", &args)?;
    let both = exhaust(&mut [&mut first, &mut second])?;
    let leaky = leak(&mut [&mut first, &mut second])?;
    once(&second.end()?, 2)?;
    let alone = exhaust(&mut [&mut first])?;
    once(&first.end()?, 3)?;
    drop((both, leaky, alone));
    Ok(format!("the second ran with {args:?}"))
}

/// Arguments that put an agent on another rung than the run's.
fn other_rung(setup: &Setup) -> Vec<OsString> {
    let rung = match setup.stage.rung.as_deref() {
        // A host may have no rung but one.
        _ if !init::is_guest() => return setup.agent_args.clone(),
        Some("kprobe") => "tracepoint",
        _ => "kprobe",
    };
    let at = setup.agent_args.iter().position(|arg| arg == "--rung");
    let mut args = setup.agent_args.clone();
    if let Some(at) = at {
        args.drain(at..(at + 2).min(args.len()));
    }
    args.extend(["--rung".into(), rung.into()]);
    args
}

/// A cgroup at its limit, which each agent must find.
fn exhaust(agents: &mut [&mut Watched]) -> Result<(Actor, PidsCgroup)> {
    let cgroup = PidsCgroup::create(PIDS_MAX)?;
    let (mut victim, _) = fork_fail("batch-job", FAILURES, &cgroup, "cgroup", &[])?;
    victim.done()?;
    let path = format!("/{}", cgroup.name());
    for agent in agents {
        let headroom = Expectation::firing("fork-headroom");
        agent.may_say(headroom.ends_with("/subject/cgroup/path", path.clone()));
        let expected = Expectation::firing("fork-failures");
        agent.expect(expected.ends_with("/subject/cgroup/path", path.clone()))?;
    }
    Ok((victim, cgroup))
}

/// A process that leaks sockets, which each agent must find.
fn leak(agents: &mut [&mut Watched]) -> Result<Actor> {
    let mut leaky = Actor::start("leaky-agent", ["netlink-leak", "--count", "600"])?;
    leaky.done()?;
    for agent in agents {
        let expected = Expectation::firing("netlink-leak");
        agent.expect(expected.is("/subject/process/pid", leaky.pid()))?;
    }
    Ok(leaky)
}

/// Each incident fired once.
fn once(said: &[Finding], incidents: usize) -> Result<()> {
    let counted = ["fork-failures", "netlink-leak"];
    let of_rule = |finding: &&Finding| counted.contains(&finding.fields.rule.as_str());
    let fired = said.iter().filter(of_rule).filter(|finding| finding.fields.revision == 1).count();
    ensure!(fired == incidents, "{fired} findings fired of {incidents} incidents");
    Ok(())
}
