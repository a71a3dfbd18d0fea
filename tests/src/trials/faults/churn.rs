//! Network namespaces and interfaces come and go by thousands.

use anyhow::{Result, ensure};

use super::watched::Watched;
use crate::expect::Expectation;
use crate::props::actor::Actor;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-churn",
    summary: "two CNIs make and leave thousands of interfaces in hundreds of network namespaces, all named alike",
    expected: "no finding about any of them, memory within its bound, and one real incident found after it",
    own_guest: true,
    play: check,
};

/// Namespaces of each of the two: what an emulated guest with nothing else to do makes in some 15 seconds.
const NAMESPACES: u64 = 60;
/// Pairs of interfaces that stay in each as long as it does; one more goes before.
const LINKS: u64 = 8;
/// One in so many pairs gets a clsact and two filters.
const FILTERS_EVERY: u64 = 8;
/// Requests that attach these.
const REQUESTS: u64 = 3;

fn check(setup: &Setup) -> Result<String> {
    let mut agent = Watched::start(setup, "")?;
    // They take RTNL from each other, and to say so is no mistake.
    agent.may_say(Expectation::firing("rtnl-pressure"));
    let words = [NAMESPACES, LINKS, FILTERS_EVERY].map(|number| number.to_string());
    let [namespaces, links, every] = &words;
    let args =
        ["netns-churn", "--namespaces", namespaces, "--links", links, "--filters-every", every];
    let busy = [Actor::start("cni-a", args)?, Actor::start("cni-b", args)?];
    let mut with_filters = 0;
    for actor in busy {
        with_filters += actor.finish()?;
    }
    agent.agent.has_seen("tc", REQUESTS * with_filters)?;
    agent.agent.reconciles()?;
    agent.said_nothing_else()?;
    let tracked = agent.agent.metric("nodeprobe_tracked", &[("signal", "tc")])?;
    let evicted = agent.agent.metric("nodeprobe_evicted_total", &[("signal", "tc")])?;

    agent.finds_a_toggle()?;
    ensure!(evicted == 0, "{evicted} things were forgotten for want of room");
    agent.end()?;
    let interfaces = 2 * 2 * NAMESPACES * (LINKS + 1);
    Ok(format!(
        "{interfaces} interfaces, {with_filters} with filters; {tracked} things tracked at the end"
    ))
}
