//! A hook's kernel module is loaded after the agent's start, unloaded and loaded again.

use anyhow::{Result, ensure};

use super::loading::Modules;
use super::wait;
use super::watched::Watched;
use crate::doctor;
use crate::exec;
use crate::metrics;
use crate::props::netns::Netns;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-late-module",
    summary: "nf_tables is loaded after the agent's start, unloaded and loaded again",
    expected: "doctor and metrics say pending while it is away; each time it is there, writes of nft are seen",
    own_guest: true,
    play: check,
};

/// nf_tables and all that needs it.
const MODULES: [&str; 3] = ["nf_tables", "nft_counter", "nft_compat"];
const HOOK: (&str, &str) = ("firewall", "nft");

fn check(setup: &Setup) -> Result<String> {
    let modules = Modules::of_guest(&MODULES)?;
    modules.unload()?;
    let foretold = doctor::of_hook(setup, HOOK.0, HOOK.1)?;
    ensure!(foretold.pending.as_deref() == Some("nf_tables"), "the doctor says {foretold:?}");
    let agent = Watched::start(setup, "")?;
    agent.agent.says("waiting: firewall/nft: the kernel module nf_tables is not loaded")?;
    has_rung(&agent, "pending")?;
    for round in 1..=2 {
        modules.load()?;
        has_rung(&agent, "kprobe")?;
        agent.agent.says("attached: firewall/nft: the kernel module nf_tables is loaded")?;
        let netns = Netns::create()?;
        netns.inside(|| exec::run_words("iptables-nft", "-A INPUT -s 192.0.2.7 -j ACCEPT"))?;
        wait::until("a write of nft is not seen", || {
            let labels = [("signal", "firewall"), ("kind", "nft")];
            let seen = metrics::sum(&agent.agent.scrape()?, "nodeprobe_events_total", &labels);
            Ok((seen < round).then(|| format!("{seen} of {round} are seen")))
        })?;
        drop(netns);
        modules.unload()?;
        has_rung(&agent, "pending")?;
    }
    modules.load()?;
    agent.end()?;
    Ok(format!("{modules} came late, went and came again"))
}

/// Waits until the hook is on a rung.
fn has_rung(agent: &Watched, rung: &str) -> Result<()> {
    wait::until("the hook does not follow its module", || {
        let is_there = agent.agent.uses_rung(HOOK.0, HOOK.1, rung)?;
        Ok((!is_there).then(|| format!("it is not {rung}")))
    })
}
