//! The agent's own events come through, again and again, and are told apart from everybody else's.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::HANG_GUARD;
use crate::agent::Agent;
use crate::session::Setup;
use crate::trial::Trial;
use crate::{init, interrupt};

/// A canary each second.
pub const TRIAL: Trial = Trial {
    name: "canary",
    summary: "the agent provokes an event of each signal each second",
    expected: "each comes through, again and again, and nobody hears of them",
    own_guest: false,
    play: check,
};

/// The limit is longer than any guest needs: time is no part of what is judged.
const CONFIG: &str = "[canary]\nevery = \"1s\"\nwithin = \"1h\"\n";
/// Events of each signal that must come, and how often at most it is looked.
const EVENTS: [(&str, u64); 3] = [("tc", 4), ("fork", 4), ("netlink", 8)];
const POLL: Duration = Duration::from_millis(200);

fn check(setup: &Setup) -> Result<String> {
    let agent = Agent::start(&setup.nodeprobe, CONFIG, &setup.agent_args, &setup.stage.reporter)?;
    let mut moved = Vec::new();
    for (signal, least) in EVENTS {
        let first = come_through(&agent, signal, 1, 0.0)?;
        come_through(&agent, signal, least, first)?;
        moved.push(signal);
    }
    // An agent whose sockets were its own canary's would be the first to leak.
    agent.reconciles()?;
    for (signal, _) in EVENTS {
        let failures = agent.of_signal("nodeprobe_canary_failures_total", signal)?;
        ensure!(failures == 0.0, "{signal}: {failures} failures");
        let up = agent.of_signal("nodeprobe_canary_up", signal)?;
        ensure!(up == 1.0, "{signal} comes through, and is not up");
    }
    // On a host others have their clones refused, and open sockets.
    if init::is_guest() {
        for signal in ["tc", "fork"] {
            let heard = agent.events(signal)?;
            ensure!(heard == 0, "{heard} {signal} events of nobody but the canary");
        }
    }
    let findings = agent.stop()?;
    ensure!(findings.is_empty(), "a finding while nothing happened: {}", findings[0]);
    Ok(format!("{} came through again and again", moved.join(", ")))
}

/// Waits until that many of the canary's events came, and the last success is later than `after`; when
/// that was, in Unix time.
fn come_through(agent: &Agent, signal: &str, least: u64, after: f64) -> Result<f64> {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        interrupt::check()?;
        let events = agent.of_signal("nodeprobe_canary_events_total", signal)?;
        let last = agent.of_signal("nodeprobe_canary_last_success_timestamp_seconds", signal)?;
        if events >= least as f64 && last > after {
            return Ok(last);
        }
        ensure!(
            Instant::now() < deadline,
            "{signal}: {events} canary events of {least}, the last at {last}"
        );
        thread::sleep(POLL);
    }
}
