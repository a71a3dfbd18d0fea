//! The wall clock is set while incidents are under way.

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::watched::Watched;
use crate::expect::Expectation;
use crate::finding::{Finding, Severity};
use crate::props::actor::Actor;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-clock",
    summary: "leaks are under way while the wall clock goes on by a year, back by a day and right again",
    expected: "each is found, keeps its id and its beginning, and resolves; none ends before it began",
    own_guest: true,
    play: check,
};

/// A finding resolves soon after its cause is gone, and is sent again with its numbers by then.
const CONFIG: &str = "[netlink]\nhold = \"2s\"\n";
const DAY: i64 = 86_400;
const STEPS: [(&str, i64); 2] = [("a year on", 365 * DAY), ("a day back", -DAY)];

fn check(setup: &Setup) -> Result<String> {
    let mut agent = Watched::start(setup, CONFIG)?;
    let clock = WallClock::note();
    let mut running = vec![leak(&mut agent)?];
    for (what, seconds) in STEPS {
        setup.stage.reporter.progress(format!("the clock goes {what}"));
        clock.step(seconds)?;
        running.push(leak(&mut agent)?);
        // What fired under another calendar ends under this one.
        let (leaky, fired) = running.remove(0);
        drop(leaky);
        let resolved = agent.agent.expect(&Expectation::resolved(&fired.fields.id))?.finding;
        in_order(&resolved)?;
        ensure!(
            resolved.fields.first_seen == fired.fields.first_seen,
            "{} began at {}, then at {}",
            fired.fields.id,
            fired.fields.first_seen,
            resolved.fields.first_seen
        );
    }
    drop(clock);
    running.push(leak(&mut agent)?);
    for (leaky, fired) in running {
        drop(leaky);
        agent.agent.expect(&Expectation::resolved(&fired.fields.id))?;
    }
    let said = agent.end()?;
    said.iter().try_for_each(in_order)?;
    Ok(format!("{} lines about {} leaks, each in order", said.len(), STEPS.len() + 2))
}

/// Leaks, and waits until that is found. A day is longer than any leak here: its age is told by a clock
/// that nobody sets.
fn leak(agent: &mut Watched) -> Result<(Actor, Finding)> {
    let mut leaky = Actor::start("leaky-agent", ["netlink-leak", "--count", "600"])?;
    leaky.done()?;
    let expected = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", leaky.pid())
        .below("/evidence/oldest_seconds", DAY.unsigned_abs());
    let fired = agent.expect(expected)?;
    in_order(&fired)?;
    Ok((leaky, fired))
}

/// Whether it was not seen last before it was seen first. Both are UTC to at most microseconds.
fn in_order(finding: &Finding) -> Result<()> {
    let (first, last) = (&finding.fields.first_seen, &finding.fields.last_seen);
    // Without the letter for UTC, a time is before those that go on with a fraction.
    let ordered = first.trim_end_matches('Z') <= last.trim_end_matches('Z');
    ensure!(ordered, "{finding}: seen from {first} to {last}");
    Ok(())
}

/// The wall clock, set right again when dropped.
struct WallClock {
    /// Wall time when the machine started (s).
    started: i64,
}

impl WallClock {
    fn note() -> Self {
        Self { started: clock_gettime(ClockId::Realtime).tv_sec - uptime() }
    }

    /// Sets it so many seconds off.
    fn step(&self, seconds: i64) -> Result<()> {
        let time = Timespec { tv_sec: self.started + uptime() + seconds, tv_nsec: 0 };
        clock_settime(ClockId::Realtime, time).context("cannot set the clock")
    }
}

impl Drop for WallClock {
    fn drop(&mut self) {
        if let Err(error) = self.step(0) {
            eprintln!("scenario: left behind: {error:#}");
        }
    }
}

fn uptime() -> i64 {
    clock_gettime(ClockId::Boottime).tv_sec
}
