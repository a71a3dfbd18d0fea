//! One agent and what is played to it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::agent::{Agent, Arrival};
use crate::expect::Expectation;
use crate::finding::Finding;
use crate::interrupt;
use crate::replay::Capture;
use crate::report::{Line, SkipKind};
use crate::scenario::{Act, Played, Prelude, Props, Quiet, Stage, Unseen};

/// What the agent may have resident with every incident under way.
pub const MOST_RSS_KIB: u64 = 18 * 1024;

/// What a run needs to know.
pub struct Setup {
    /// The agent's binary.
    pub nodeprobe: PathBuf,
    /// Further arguments for it.
    pub agent_args: Vec<OsString>,
    /// Where the scenarios are played.
    pub stage: Stage,
}

/// A finding that was expected and came.
pub struct Catch {
    /// The finding and when it came.
    pub arrival: Arrival,
    /// From the first bad act to the finding's arrival.
    pub latency_ms: u64,
}

/// A running agent and what it may find fault with.
pub struct Session<'a> {
    setup: &'a Setup,
    agent: Agent,
    /// What was provoked so far; a finding about anything else is a false alarm.
    provoked: Vec<Expectation>,
    capture: Option<Capture>,
}

impl<'a> Session<'a> {
    /// Starts an agent with a configuration (TOML), whose run may be written down.
    pub fn start(setup: &'a Setup, config: &str, capture: Option<Capture>) -> Result<Self> {
        interrupt::check()?;
        let mut args = setup.agent_args.clone();
        args.extend(capture.iter().flat_map(Capture::args));
        let agent = Agent::start(&setup.nodeprobe, config, &args, &setup.stage.reporter)?;
        setup.stage.metrics.moved(agent.metrics_url());
        Ok(Self { setup, agent, provoked: Vec::new(), capture })
    }

    /// Plays normal life until the agent has taken all of it in without a word.
    pub fn quiet(&self, all: &[Quiet]) -> Result<Props> {
        let mut props = Props::new();
        for quiet in all {
            self.progress(format!("quiet control: {}", quiet.summary));
            let before = self.agent.events(quiet.signal)?;
            let stage = &self.setup.stage;
            let played = (quiet.play)(stage);
            let Some(silence) = stage.unless_lacking(quiet.summary, played)? else { continue };
            // Where no hook of the signal is attached, all that can be asked for is silence.
            let least = if self.agent.hooks(quiet.signal)? { silence.events } else { 0 };
            self.agent.has_seen(quiet.signal, before + least)?;
            self.no_false_alarm(&self.agent.findings())?;
            props.extend(silence.props);
        }
        Ok(props)
    }

    /// Judges what was there before the agent: found, and resolved if asked, unless it cannot be seen.
    /// Returns what is left of it, to be kept to the end.
    pub fn prelude(&mut self, prelude: &Prelude, played: Played) -> Result<(Vec<Catch>, Props)> {
        if let Some(unseen) = &prelude.unseen_on
            && self.is_blind(prelude.summary, unseen)?
        {
            return Ok((Vec::new(), played.props));
        }
        Ok((self.catch(prelude.summary, played, prelude.resolves)?, Props::new()))
    }

    /// Plays a bad act until its findings came, and resolved if asked.
    pub fn act(&mut self, act: &Act, resolves: bool) -> Result<Vec<Catch>> {
        self.progress(act.summary);
        let stage = &self.setup.stage;
        match stage.unless_lacking(act.summary, (act.play)(stage))? {
            Some(played) => self.catch(act.summary, played, resolves),
            None => Ok(Vec::new()),
        }
    }

    /// Whether the agent is on a rung where something cannot be seen.
    fn is_blind(&self, part: &str, unseen: &Unseen) -> Result<bool> {
        let Unseen { signal, hook, rung, why } = unseen;
        let blind = self.agent.uses_rung(signal, hook, rung)?;
        if blind {
            let reason = format!("on the {rung} rung of {signal}/{hook}: {why}");
            self.setup.stage.skip(part, SkipKind::Unseen, reason);
        }
        Ok(blind)
    }

    fn catch(&mut self, part: &str, mut played: Played, resolves: bool) -> Result<Vec<Catch>> {
        let expected = std::mem::take(&mut played.expected);
        let visible = visible(expected, |unseen| self.is_blind(part, unseen))?;
        self.provoked.extend(visible.iter().cloned());
        let mut catches = Vec::new();
        for expected in &visible {
            let arrival = self.agent.expect(expected)?;
            let latency = arrival.at.since(played.since);
            catches.push(Catch { arrival, latency_ms: u64::try_from(latency.as_millis())? });
        }
        drop(played.props);
        if resolves {
            for catch in &catches {
                let fields = &catch.arrival.finding.fields;
                self.progress(format!("waiting for {} to resolve", fields.rule));
                self.agent.expect(&Expectation::resolved(&fields.id))?;
            }
        }
        Ok(catches)
    }

    /// Checks the agent's account, reports what it costs, stops it, and looks at all it ever said.
    pub fn end(self) -> Result<()> {
        let Self { setup, agent, provoked, capture } = self;
        agent.reconciles()?;
        let stats = agent.stats()?;
        setup.stage.reporter.line(&Line::Stats(stats));
        ensure!(stats.rss_kib < MOST_RSS_KIB, "the agent has {} KiB resident", stats.rss_kib);
        let findings = agent.stop()?;
        no_false_alarm(&findings, &provoked)?;
        capture.map_or(Ok(()), |capture| capture.verify(&setup.nodeprobe, &findings))
    }

    fn no_false_alarm(&self, findings: &[Finding]) -> Result<()> {
        no_false_alarm(findings, &self.provoked)
    }

    fn progress(&self, text: impl Into<String>) {
        self.setup.stage.reporter.progress(text);
    }
}

/// Plays what is there before the agent; `None` where it cannot be.
pub fn before(setup: &Setup, prelude: &Prelude) -> Result<Option<Played>> {
    interrupt::check()?;
    setup.stage.reporter.progress(prelude.summary);
    setup.stage.unless_lacking(prelude.summary, (prelude.play)(&setup.stage))
}

/// What must come. The others must not: who is blind and finds has a false alarm.
fn visible(
    expected: Vec<Expectation>,
    mut is_blind: impl FnMut(&Unseen) -> Result<bool>,
) -> Result<Vec<Expectation>> {
    let mut visible = Vec::new();
    for expected in expected {
        match expected.unseen_on() {
            Some(unseen) if is_blind(unseen)? => {}
            _ => visible.push(expected),
        }
    }
    Ok(visible)
}

/// Fails when a finding is about none of what was provoked.
pub fn no_false_alarm(findings: &[Finding], provoked: &[Expectation]) -> Result<()> {
    let meant = |finding: &&Finding| provoked.iter().any(|expected| expected.claims(finding));
    match findings.iter().find(|finding| !meant(finding)) {
        Some(finding) => bail!("a false alarm: {finding}: {}", finding.raw()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::tests::LINE;

    static UNSEEN: Unseen =
        Unseen { signal: "tc", hook: "requests", rung: "tracepoint", why: "no tracepoint tells" };

    #[test]
    fn what_cannot_be_seen_is_a_false_alarm_when_it_is_found() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        let wanted = || vec![Expectation::firing("tc-handle-toggle").unless_unseen(&UNSEEN)];
        let provoked = visible(wanted(), |_| Ok(false)).unwrap();
        assert!(no_false_alarm(std::slice::from_ref(&finding), &provoked).is_ok());
        let provoked = visible(wanted(), |_| Ok(true)).unwrap();
        assert!(no_false_alarm(&[finding], &provoked).is_err());
    }
}
