//! The agent under test: a child process, its findings, its log, what it costs.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::HANG_GUARD;
use crate::clock::Moment;
use crate::expect::Expectation;
use crate::finding::Finding;
use crate::interrupt;
use crate::metrics::{self, Account, SIGNALS};
use crate::report::{Line, Reporter, Stats};

mod ready;
mod transcript;

use ready::Ready;
pub use transcript::Arrival;
use transcript::Transcript;

/// Between two looks at something that cannot be waited for.
const POLL: Duration = Duration::from_millis(50);

/// A running `nodeprobe run`; killed when dropped.
pub struct Agent {
    child: Child,
    transcript: Arc<Transcript>,
    readers: Vec<JoinHandle<()>>,
    reporter: Reporter,
    ready: Ready,
    _config: TempDir,
}

impl Agent {
    /// Starts an agent with a configuration (TOML) and further arguments; returns when it is ready.
    pub fn start(
        nodeprobe: &Path,
        config: &str,
        args: &[OsString],
        reporter: &Reporter,
    ) -> Result<Self> {
        let config_dir = tempfile::tempdir().context("cannot create a temporary directory")?;
        let config_path = config_dir.path().join("nodeprobe.toml");
        fs::write(&config_path, config)
            .with_context(|| format!("cannot write {}", config_path.display()))?;
        // Port 0: an agent that already watches this host keeps its own.
        let mut child = Command::new(nodeprobe)
            .args(["run", "-o", "json", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config_path)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", nodeprobe.display()))?;
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("the agent has no stdout"))?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow!("the agent has no stderr"))?;

        let transcript = Arc::new(Transcript::default());
        let readers = vec![
            thread::spawn({
                let (transcript, reporter) = (Arc::clone(&transcript), reporter.clone());
                move || read_findings(BufReader::new(stdout), &transcript, &reporter)
            }),
            thread::spawn({
                let transcript = Arc::clone(&transcript);
                move || read_log(BufReader::new(stderr), &transcript)
            }),
        ];
        let reporter = reporter.clone();
        let mut agent = Self {
            child,
            transcript,
            readers,
            reporter,
            ready: Ready::default(),
            _config: config_dir,
        };
        let line = agent.transcript.wait(HANG_GUARD, |seen| seen.ready.clone());
        let line = line.ok_or_else(|| anyhow!("the agent is not ready{}", agent.log_tail()))?;
        agent.ready = Ready::parse(&line);
        Ok(agent)
    }

    /// Waits for a finding. What came instead is in the error.
    pub fn expect(&self, expected: &Expectation) -> Result<Arrival> {
        const REMIND_EVERY: u64 = 10;
        let started = Instant::now();
        let mut reminded = 0;
        loop {
            interrupt::check()?;
            let arrived = self.transcript.wait(Duration::from_secs(1), |seen| {
                seen.findings.iter().find(|arrival| expected.met_by(&arrival.finding)).cloned()
            });
            if let Some(arrival) = arrived {
                return Ok(arrival);
            }
            if self.transcript.ended() || started.elapsed() > HANG_GUARD {
                break;
            }
            let waited = started.elapsed().as_secs();
            if waited / REMIND_EVERY > reminded {
                reminded = waited / REMIND_EVERY;
                let so_far = self.findings().len();
                self.reporter
                    .progress(format!("still waiting after {waited} s, {so_far} findings so far"));
            }
        }
        let findings = self.findings();
        let closest = expected.closest(&findings).unwrap_or_else(|| "no finding at all".into());
        bail!("no {expected}; closest: {closest}{}", self.log_tail())
    }

    /// All findings and their updates so far.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.transcript.findings()
    }

    /// Events of a signal the agent has taken in so far; rounds, when it is a polled one.
    pub fn events(&self, signal: &str) -> Result<u64> {
        let text = self.scrape()?;
        let round = format!("{signal}_round");
        let rounds = metrics::sum(&text, "nodeprobe_polled_total", &[("fact", &round)]);
        let account = Account::of(&text, signal);
        Ok(rounds + account.decoded + account.summed)
    }

    /// Whether its metrics say that a hook uses this rung.
    pub fn uses_rung(&self, signal: &str, hook: &str, rung: &str) -> Result<bool> {
        let labels = [("signal", signal), ("hook", hook), ("rung", rung)];
        Ok(metrics::sum(&self.scrape()?, "nodeprobe_signal_coverage", &labels) == 1)
    }

    /// Where it tells its metrics.
    #[must_use]
    pub fn metrics_url(&self) -> Option<&str> {
        self.ready.metrics_url.as_deref()
    }

    fn scrape(&self) -> Result<String> {
        let url = self.ready.metrics_url.as_ref();
        let url = url
            .ok_or_else(|| anyhow!("the ready line names no metrics address{}", self.log_tail()))?;
        metrics::scrape(url).map_err(|error| anyhow!("{error:#}{}", self.log_tail()))
    }

    /// Waits until the agent accounts for every event of every signal: seen by the kernel's hooks is
    /// delivered, suppressed or lost, and delivered is decoded.
    pub fn reconciles(&self) -> Result<()> {
        let deadline = Instant::now() + HANG_GUARD;
        loop {
            interrupt::check()?;
            let text = self.scrape()?;
            let open = SIGNALS
                .map(|signal| (signal, Account::of(&text, signal)))
                .into_iter()
                .find(|(_, account)| !account.reconciles());
            let Some((signal, account)) = open else {
                return Ok(());
            };
            // Events may be on their way between two reads; an account that is wrong stays wrong.
            ensure!(
                Instant::now() < deadline,
                "the agent's account of {signal} does not add up: {account:?}{}",
                self.log_tail()
            );
            thread::sleep(POLL);
        }
    }

    /// Waits until the agent has taken in that many events of a signal.
    pub fn has_seen(&self, signal: &str, least: u64) -> Result<()> {
        let deadline = Instant::now() + HANG_GUARD;
        loop {
            interrupt::check()?;
            let seen = self.events(signal)?;
            if seen >= least {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the agent is blind: {seen} of at least {least} {signal} events{}",
                self.log_tail()
            );
            thread::sleep(POLL);
        }
    }

    /// What it costs now.
    pub fn stats(&self) -> Result<Stats> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let kib = |field: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            number.ok_or_else(|| {
                anyhow!("{path} has no {field}: did the agent end?{}", self.log_tail())
            })
        };
        Ok(Stats {
            ready_ms: self.ready.milliseconds,
            rss_kib: kib("VmRSS")?,
            peak_rss_kib: kib("VmHWM")?,
        })
    }

    /// Asks it to end, which must go well, and returns all it ever found.
    pub fn stop(mut self) -> Result<Vec<Finding>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .context("cannot stop the agent")?;
        let deadline = Instant::now() + HANG_GUARD;
        let status = loop {
            match self.child.try_wait().context("cannot wait for the agent")? {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    bail!("the agent ignores SIGTERM{}", self.log_tail())
                }
                None => thread::sleep(POLL),
            }
        };
        for reader in self.readers.drain(..) {
            reader.join().map_err(|_| anyhow!("a reader of the agent's output panicked"))?;
        }
        ensure!(status.success(), "the agent ended with {status}{}", self.log_tail());
        if let Some(line) = self.transcript.first_stranger() {
            bail!("the agent printed a line that is no finding: {line}");
        }
        Ok(self.findings())
    }

    fn log_tail(&self) -> String {
        self.transcript.log_tail()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only if it ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_findings(lines: impl BufRead, transcript: &Transcript, reporter: &Reporter) {
    for line in lines.lines().map_while(Result::ok) {
        match serde_json::from_str::<Finding>(&line) {
            Ok(finding) => {
                let at = Moment::now();
                // Told before anyone can judge by it: a verdict comes after its finding.
                reporter.line(&Line::Finding { finding: Box::new(finding.clone()) });
                transcript.arrived(Arrival { finding, at });
            }
            Err(error) => transcript.stranger(format!("{line} ({error})")),
        }
    }
    transcript.end_of_stream();
}

fn read_log(lines: impl BufRead, transcript: &Transcript) {
    for line in lines.lines().map_while(Result::ok) {
        transcript.logged(line);
    }
    transcript.end_of_stream();
}
