//! An agent under a service manager.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::POLL;
use super::manager::Manager;
use crate::HANG_GUARD;
use crate::metrics;
use crate::session::Setup;

/// The watchdog's time (µs): a ping each second or two.
const WATCHDOG_USEC: &str = "4000000";

/// A running agent; killed when dropped.
pub struct Managed {
    /// What it tells.
    pub manager: Manager,
    child: Child,
    dir: TempDir,
}

impl Managed {
    /// Starts an agent that prints findings there and listens there.
    pub fn start(setup: &Setup, findings: Stdio, listen: &str) -> Result<Self> {
        let manager = Manager::new()?;
        let dir = tempfile::tempdir().context("cannot create a temporary directory")?;
        let log = File::create(dir.path().join("log")).context("cannot create a log")?;
        let child = Command::new(&setup.nodeprobe)
            .args(["run", "-o", "json", "--listen", listen])
            .args(&setup.agent_args)
            .env("NOTIFY_SOCKET", manager.path())
            .env("WATCHDOG_USEC", WATCHDOG_USEC)
            .stdin(Stdio::null())
            .stdout(findings)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", setup.nodeprobe.display()))?;
        Ok(Self { manager, child, dir })
    }

    /// Waits until it tells that it is ready, and returns its status.
    pub fn is_ready(&self) -> Result<String> {
        let told =
            self.manager.expect("READY=1").with_context(|| self.log().unwrap_or_default())?;
        let status = told.lines().find_map(|line| line.strip_prefix("STATUS="));
        status.map(ToOwned::to_owned).with_context(|| format!("no status in {told:?}"))
    }

    /// What it logged so far.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(self.dir.path().join("log")).context("cannot read the agent's log")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("cannot signal the agent")
    }

    /// Waits until all of it stands still.
    pub fn is_stopped(&self) -> Result<()> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let is_stopped = || -> Result<bool> {
            let mut all = true;
            for task in fs::read_dir(&tasks)? {
                let stat = fs::read_to_string(task?.path().join("stat"))?;
                all &= stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" T"));
            }
            Ok(all)
        };
        let deadline = Instant::now() + HANG_GUARD;
        while !is_stopped().with_context(|| format!("cannot read {tasks}"))? {
            ensure!(Instant::now() < deadline, "the agent does not stop");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// What its endpoint answers below a path; an error unless that is 200.
    pub fn get(&self, path: &str) -> Result<String> {
        metrics::scrape(&format!("http://{}/{path}", self.address()?))
    }

    /// Asks its endpoint and does not wait.
    pub fn ask(&self, path: &str) -> Result<Asked> {
        let address = self.address()?;
        let mut stream =
            TcpStream::connect(&address).with_context(|| format!("cannot connect to {address}"))?;
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
        Ok(Asked(stream))
    }

    fn address(&self) -> Result<String> {
        let log = self.log()?;
        let address = log.split_once("http://").and_then(|(_, rest)| rest.split('/').next());
        address.map(ToOwned::to_owned).with_context(|| format!("no address in {log:?}"))
    }

    /// Waits for its end, which must come with this exit code and, in the last line, these words.
    pub fn ends_with(&mut self, code: i32, words: &[&str]) -> Result<()> {
        let deadline = Instant::now() + HANG_GUARD;
        let status = loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for the agent")? {
                break status;
            }
            ensure!(
                Instant::now() < deadline,
                "the agent does not end; it logged\n{}",
                self.log()?
            );
            thread::sleep(POLL);
        };
        let log = self.log()?;
        ensure!(status.code() == Some(code), "it ended with {status}, having logged\n{log}");
        let last = log.lines().last().unwrap_or_default();
        for word in words {
            ensure!(last.contains(word), "its last line does not say {word:?}: {last:?}");
        }
        Ok(())
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // Both fail only if it ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A question that waits for its answer.
pub struct Asked(TcpStream);

impl Asked {
    /// Whether an answer comes within that time.
    pub fn answers_within(&mut self, at_most: Duration) -> Result<bool> {
        self.0.set_read_timeout(Some(at_most))?;
        match self.0.read(&mut [0; 1]) {
            Ok(bytes) => Ok(bytes > 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("cannot read the answer"),
        }
    }
}
