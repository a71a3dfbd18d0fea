//! The agent does not run for a while, and netlink sockets come and go in such numbers that the ring
//! cannot hold them. How long it stands still does not matter, only how much happens meanwhile.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::Signal;

use super::wait;
use super::watched::Watched;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-suspend",
    summary: "the agent is stopped while sockets come and go by thousands, and goes on",
    expected: "each open and close is delivered or counted; a leak that began meanwhile is found with \
               all its sockets; sockets that were closed meanwhile are no leak",
    own_guest: true,
    play: check,
};

/// Sockets opened and closed: with a record of 88 bytes for each, more than the ring's 512 KiB.
pub const FLOOD: u64 = 4_000;
/// Sockets that are closed meanwhile. With those opened afterwards they would be critical.
const CLOSED: u64 = 400;
const OPENED_AFTERWARDS: u64 = 200;
/// Sockets that are opened meanwhile and stay.
const LEAKED: u64 = 600;

fn check(setup: &Setup) -> Result<String> {
    let dir = tempfile::tempdir().context("cannot create a temporary directory")?;
    let [close, reopen] = ["close", "reopen"].map(|name| dir.path().join(name));
    let mut healthy = healthy(&close, &reopen)?;
    healthy.done()?;

    let mut agent = Watched::start(setup, "")?;
    let seen = |agent: &Watched| Ok(agent.agent.account("netlink")?.seen);
    // The agent's own look around at its start opens sockets too.
    let before = wait::at_rest("netlink sockets", || seen(&agent))?;
    stop(&agent)?;
    flood()?;
    fs::write(&close, "")?;
    healthy.done()?;
    let mut leaky = Actor::start("leaky-agent", ["netlink-leak", "--count", &LEAKED.to_string()])?;
    leaky.done()?;
    agent.agent.signal(Signal::CONT)?;

    let truth = before + 2 * FLOOD + CLOSED + LEAKED;
    wait::until("the account is not the truth", || {
        let account = agent.agent.account("netlink")?;
        let right = account.seen == truth && account.reconciles();
        Ok((!right).then(|| format!("{account:?}, not {truth} seen")))
    })?;
    let account = agent.agent.account("netlink")?;
    let without_record = account.lost + account.suppressed;
    ensure!(without_record > 0, "nothing was lost: the flood was too small, {account:?}");

    let knows_inodes = agent.knows_inodes()?;
    if knows_inodes {
        agent.expect(
            Expectation::firing("netlink-leak")
                .severity(Severity::Critical)
                .is("/subject/process/pid", leaky.pid())
                .is("/subject/process/comm", "leaky-agent")
                .is("/evidence/open", LEAKED),
        )?;
    }
    let heard = agent.agent.events("netlink")?;
    fs::write(&reopen, "")?;
    healthy.done()?;
    agent.agent.has_seen("netlink", heard + OPENED_AFTERWARDS)?;
    agent.said_nothing_else()?;
    agent.end()?;
    let leak = if knows_inodes { "found the leak" } else { "cannot know of the leak on this rung" };
    Ok(format!(
        "{} seen, {} delivered, {without_record} counted without a record; {leak}",
        truth - before,
        truth - before - without_record
    ))
}

/// A daemon that closes all its sockets when it is told to, and opens some more when told again.
fn healthy(close: &PathBuf, reopen: &PathBuf) -> Result<Actor> {
    let (closed, again) = (CLOSED.to_string(), OPENED_AFTERWARDS.to_string());
    let mut args: Vec<std::ffi::OsString> = vec!["netlink-told".into()];
    args.extend(["--count", &closed, "--again", &again].map(Into::into));
    args.extend(["--close".into(), close.into(), "--reopen".into(), reopen.into()]);
    Actor::start("steady-agent", args)
}

/// Stops the agent and waits until it stands still.
pub fn stop(agent: &Watched) -> Result<()> {
    agent.agent.signal(Signal::STOP)?;
    let stat = format!("/proc/{}/stat", agent.agent.pid());
    wait::until("the agent goes on", || {
        let stat = fs::read_to_string(&stat).context("the agent is gone")?;
        let stopped = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'));
        Ok((!stopped).then_some(stat))
    })
}

/// Opens and closes sockets.
pub fn flood() -> Result<()> {
    for _ in 0..FLOOD {
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .context("cannot open a netlink socket")?;
    }
    Ok(())
}
