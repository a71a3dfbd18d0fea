//! The agent does not run while filters change hands: what it knew of them is not true any more.

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::suspend::{flood, stop};
use super::wait;
use super::watched::Watched;
use crate::props::veth::Veth;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-suspend-tc",
    summary: "while the agent is stopped, one agent takes its filters away and another attaches its own",
    expected: "each request is delivered or counted; the second agent's removal of its own filters is no \
               crime; filters that toggle afterwards are found",
    own_guest: true,
    play: check,
};

/// What x-agent's removal, y-agent's three writes and its removal are.
const REQUESTS: u64 = 1 + 3;

fn check(setup: &Setup) -> Result<String> {
    let veth = Veth::create()?;
    let mut agent = Watched::start(setup, "")?;
    let act = |comm, act| -> Result<_> {
        let mut actor = veth.agent(&setup.stage, comm, act, 1)?;
        actor.done()?;
        Ok(actor)
    };
    let _x = act("x-agent", "attach")?;
    agent.agent.has_seen("tc", 3)?;
    // Interfaces of a namespace that is gone go a little later, which is an event too.
    wait::at_rest("tc", || Ok(agent.agent.account("tc")?.seen))?;
    let before = agent.agent.account("tc")?;
    stop(&agent)?;
    flood()?;
    let _gone = act("x-agent", "detach")?;
    let _y = act("y-agent", "attach")?;
    agent.agent.signal(Signal::CONT)?;
    wait::until("the account is not the truth", || {
        let account = agent.agent.account("tc")?;
        let right = account.seen == before.seen + REQUESTS && account.reconciles();
        Ok((!right).then(|| format!("{account:?}, before {before:?}")))
    })?;
    let account = agent.agent.account("tc")?;
    let without_record = account.lost + account.suppressed;
    let netlink = agent.agent.account("netlink")?;
    ensure!(netlink.lost + netlink.suppressed > 0, "the flood was too small: {netlink:?}");
    let heard = agent.agent.events("tc")?;
    let _own = act("y-agent", "detach")?;
    agent.agent.has_seen("tc", heard + 1)?;
    agent.said_nothing_else()?;

    for rule in ["tc-rewrite-rate", "tc-asymmetry"] {
        agent.may_say(veth.about(rule, "calico-node"));
    }
    let mut calico = veth.actor(&setup.stage, "calico-node", "tc-toggle", &[])?;
    calico.first_bad_act()?;
    agent.expect(veth.about("tc-handle-toggle", "calico-node"))?;
    drop(calico);
    agent.end()?;
    Ok(format!("{REQUESTS} requests meanwhile, {without_record} counted without a record"))
}
