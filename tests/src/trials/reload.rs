//! Another configuration while the agent runs: sinks, thresholds and events change, what it knows stays.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::process::Signal;
use serde_json::Value;

use crate::HANG_GUARD;
use crate::agent::Agent;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::interrupt;
use crate::session::Setup;
use crate::trial::Trial;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "reload",
    summary: "the agent's configuration changes while it runs",
    expected: "what is good comes into force and loses nothing; what is bad does not",
    own_guest: false,
    play: check,
};

const POLL: Duration = Duration::from_millis(50);
/// Sockets that are too many only by the second configuration.
const SOCKETS: u64 = 100;
const STRICT: &str = "[netlink]\nwarn_open = 8\ncritical_open = 50\n";
/// Often, to be seen among the events if it could be.
const CANARY: &str = "[canary]\nevery = \"1s\"\n";

fn check(setup: &Setup) -> Result<String> {
    let dir = tempfile::tempdir().context("cannot create a temporary directory")?;
    let file = |name: &str| dir.path().join(name);
    let sink = |name: &str| format!("[sinks.{name}.file]\npath = \"{}\"\n", file(name).display());
    let (one, two) = (CANARY.to_owned() + &sink("one"), CANARY.to_owned() + &sink("two"));
    let agent = Agent::start(&setup.nodeprobe, &one, &setup.agent_args, &setup.stage.reporter)?;

    let sockets = open_sockets()?;
    let seen = wait_for("the sockets", || Ok(agent.events("netlink")? >= SOCKETS));
    seen.with_context(|| format!("the agent tells of them{}", agent.accounts()))?;
    let leak = Expectation::firing("netlink-leak").severity(Severity::Critical);
    let leak = leak.at_least("/evidence/open", SOCKETS);
    let early = agent.findings().iter().any(|finding| leak.met_by(finding));
    ensure!(!early, "{SOCKETS} sockets are too many already");

    agent.reconfigure("[netlink]\ncritical_open = 0\n")?;
    let said = agent.says("configuration rejected, the old one stays: ")?;
    ensure!(said.contains(":2: netlink.critical_open: 0 is not"), "it says {said:?}");
    reloads(&agent, "rejected", 1)?;

    // The sockets were open before: only an agent that still knows of them finds fault with them.
    agent.reconfigure(&format!("{one}{STRICT}"))?;
    agent.says("configuration reloaded: netlink.warn_open, netlink.critical_open")?;
    agent.expect(&leak)?;
    wait_for("the finding in the file", || Ok(lines(&file("one"))? > 0))?;

    // As logrotate does it.
    fs::rename(file("one"), file("one.1")).context("cannot move the file away")?;
    agent.signal(Signal::HUP)?;
    wait_for("the file to be there again", || Ok(file("one").exists()))?;
    reloads(&agent, "unchanged", 1)?;
    drop(sockets);

    let raw = "[sinks.two.filter]\nfindings = false\nevents = \"raw\"\nsignals = [\"netlink\"]\n";
    agent.reconfigure(&format!("{two}{raw}{STRICT}"))?;
    agent.says("configuration reloaded: sinks.two added, sinks.one removed")?;
    let before = file("one.1");
    let told = lines(&before)? + lines(&file("one"))?;
    // One more each time: of some the kernel may tell nothing (fault-left-out).
    let mut sockets = open_sockets()?;
    wait_for("an event for each socket", || {
        sockets.push(open_socket()?);
        Ok(lines(&file("two"))? as u64 >= SOCKETS)
    })?;
    ensure!(lines(&before)? + lines(&file("one"))? == told, "a sink that was removed still writes");
    let events = fs::read_to_string(file("two")).context("cannot read the events")?;
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).context("an event is no JSON")?;
        ensure!(event["signal"] == "netlink", "not asked for: {line}");
        let canary = event["comm"].as_str().is_some_and(|comm| comm.starts_with("canary-"));
        ensure!(!canary, "the canary's: {line}");
    }
    agent.stop()?;
    Ok("what is good comes into force, with all that was known before".into())
}

fn open_sockets() -> Result<Vec<OwnedFd>> {
    (0..SOCKETS).map(|_| open_socket()).collect()
}

fn open_socket() -> Result<OwnedFd> {
    let (netlink, raw) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket =
        socket_with(netlink, raw, SocketFlags::CLOEXEC, None).context("cannot open a socket")?;
    bind(&socket, &SocketAddrNetlink::new(0, 0)).context("cannot bind a socket")?;
    Ok(socket)
}

fn reloads(agent: &Agent, outcome: &str, expected: u64) -> Result<()> {
    let reloads = "nodeprobe_config_reloads_total";
    wait_for(outcome, || Ok(agent.metric(reloads, &[("outcome", outcome)])? == expected))
}

/// Lines of a file; none where there is no file.
fn lines(path: &Path) -> Result<usize> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().count()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn wait_for(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + HANG_GUARD;
    while !holds()? {
        interrupt::check()?;
        ensure!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(POLL);
    }
    Ok(())
}
