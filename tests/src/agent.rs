//! The agent under test: a child process, its findings, its log, what it costs.

use std::ffi::OsString;
use std::fs;
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::HANG_GUARD;
use crate::expect::Expectation;
use crate::finding::Finding;
use crate::interrupt;
use crate::report::{Reporter, Stats};

mod account;
mod output;
mod readers;
mod ready;
mod transcript;

pub use output::Output;
use readers::{read_findings, read_log};
use ready::Ready;
pub use transcript::Arrival;
use transcript::Transcript;

/// Between two looks at something that cannot be waited for.
const POLL: Duration = Duration::from_millis(50);

/// Name of the configuration file.
const CONFIG: &str = "nodeprobe.toml";

/// A running `nodeprobe run`; killed when dropped.
pub struct Agent {
    child: Child,
    transcript: Arc<Transcript>,
    readers: Vec<JoinHandle<()>>,
    reporter: Reporter,
    ready: Ready,
    config: TempDir,
}

impl Agent {
    /// Starts an agent with a configuration (TOML) and further arguments; returns when it is ready.
    pub fn start(
        nodeprobe: &Path,
        config: &str,
        args: &[OsString],
        reporter: &Reporter,
    ) -> Result<Self> {
        Self::launch(Command::new(nodeprobe), Output::Pipe, config, args, reporter)
    }

    /// As [`Self::start`], by a command that becomes the agent when it gets the agent's arguments, and
    /// with findings that go elsewhere.
    pub fn launch(
        mut command: Command,
        output: Output,
        config: &str,
        args: &[OsString],
        reporter: &Reporter,
    ) -> Result<Self> {
        let config_dir = tempfile::tempdir().context("cannot create a temporary directory")?;
        let config_path = config_dir.path().join(CONFIG);
        fs::write(&config_path, config)
            .with_context(|| format!("cannot write {}", config_path.display()))?;
        let transcript = Arc::new(Transcript::default());
        let (stdout, file) = output.open(&transcript)?;
        // Port 0: an agent that already watches this host keeps its own.
        let mut child = command
            .args(["run", "-o", "json", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config_path)
            .args(args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let pipe = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
        let findings = pipe.or(file).ok_or_else(|| anyhow!("the agent has no stdout"))?;
        let stderr = child.stderr.take().ok_or_else(|| anyhow!("the agent has no stderr"))?;

        let readers = vec![
            thread::spawn({
                let (transcript, reporter) = (Arc::clone(&transcript), reporter.clone());
                move || read_findings(BufReader::new(findings), &transcript, &reporter)
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
            config: config_dir,
        };
        let line = agent.transcript.wait(HANG_GUARD, |seen| seen.ready.clone());
        let line = line.ok_or_else(|| anyhow!("the agent is not ready{}", agent.log_tail()))?;
        agent.ready = Ready::parse(&line);
        Ok(agent)
    }

    /// Puts another configuration in the place of the one it has, as editors and packages do. It looks at
    /// the file itself.
    pub fn reconfigure(&self, config: &str) -> Result<()> {
        let (new, path) = (self.config.path().join("new"), self.config.path().join(CONFIG));
        fs::write(&new, config).with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, &path).with_context(|| format!("cannot replace {}", path.display()))
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
        bail!("no {expected}; closest: {closest}{}{}", self.accounts(), self.log_tail())
    }

    /// All findings and their updates so far.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.transcript.findings()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.with_context(|| format!("cannot send {signal:?} to the agent"))
    }

    /// Waits until it logged a line with these words.
    pub fn says(&self, words: &str) -> Result<String> {
        let line = self.transcript.wait(HANG_GUARD, |seen| seen.logged(words));
        line.ok_or_else(|| anyhow!("the agent does not say {words:?}{}", self.log_tail()))
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
        self.signal(Signal::TERM)?;
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

    /// Kills it, as the kernel does for want of memory: it cannot do anything about it.
    pub fn kill(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().context("cannot wait for the agent")?;
        Ok(())
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
