//! What the agent loads into the kernel is gone when the agent is, however it ends.

use anyhow::{Result, ensure};

use super::objects::Objects;
use super::wait;
use super::watched::Watched;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-bpf-objects",
    summary: "the agent ends by SIGTERM, then by SIGKILL",
    expected: "exit 0 on SIGTERM; programs, links, maps and BTF as before the start, both times",
    own_guest: true,
    play: check,
};

fn check(setup: &Setup) -> Result<String> {
    // The kernel frees what an agent before had a moment after its end.
    wait::until("BPF objects of an agent before", || {
        let all = Objects::list()?;
        let left: usize = ["prog", "link", "map"].iter().map(|kind| all.of(kind)).sum();
        Ok((left > 0).then(|| format!("{left} stay")))
    })?;
    let before = Objects::list()?;
    let as_before =
        || wait::until("BPF objects stay", || Ok(Objects::list()?.differs_from(&before)));
    let first = Watched::start(setup, "")?;
    let (all, own) = loaded(&before)?;
    first.end()?;
    as_before()?;
    let second = Watched::start(setup, "")?;
    let (again, _) = loaded(&before)?;
    ensure!(all == again, "{}", again.differs_from(&all).unwrap_or_default());
    second.agent.kill()?;
    as_before()?;
    let of = |kind| own.of(kind);
    Ok(format!(
        "{} programs, {} links and {} maps came and went",
        of("prog"),
        of("link"),
        of("map")
    ))
}

/// All objects while an agent runs, and those that are its own.
fn loaded(before: &Objects) -> Result<(Objects, Objects)> {
    let all = Objects::list()?;
    let own = all.since(before);
    ensure!(own.of("prog") > 0 && own.of("map") > 0, "bpftool shows nothing of the agent: {own}");
    Ok((all, own))
}
