//! An agent with sinks under test, that plays captures.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::{NamedTempFile, TempDir};

use super::{HANG_GUARD, POLL, capture, ids::id_of_line, server::end_with_us, until};

/// An agent's configuration, and what it keeps: its state, spools among it, outlives each of its runs.
pub struct Agent {
    /// Kept as long as the agent or one of its runs is.
    dir: Arc<TempDir>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Run {
    /// Ids of all records it found, in their order, as its standard output has them.
    pub ids: Vec<String>,
    /// What it said on standard error.
    pub log: String,
    pub status: ExitStatus,
}

impl Agent {
    /// One whose configuration is what [`capture::CONFIG`] needs, and `sinks` (TOML).
    pub fn new(sinks: &str) -> Result<Self> {
        let agent = Self { dir: Arc::new(tempfile::tempdir()?) };
        agent.configure(sinks)?;
        Ok(agent)
    }

    /// One with a sink called `test`, of this kind and with these settings (TOML).
    pub fn with_sink(kind: &str, settings: &str) -> Result<Self> {
        Self::new(&format!("[sinks.test.{kind}]\n{settings}\n"))
    }

    /// Gives it other sinks.
    pub fn configure(&self, sinks: &str) -> Result<()> {
        let spool = format!("[spool]\ndir = {:?}", self.path("spool"));
        let config = format!("{}\n{spool}\n{sinks}\n", capture::CONFIG);
        Ok(fs::write(self.config(), config)?)
    }

    fn config(&self) -> PathBuf {
        self.path("nodeprobe.toml")
    }

    /// A place in the agent's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Plays a capture to its end, which must be a good one.
    pub fn replay(&self, capture: &NamedTempFile) -> Result<Run> {
        self.start(capture)?.finish()
    }

    /// Runs it until nothing waits in its spools any more; as long as it becomes less, however slow the
    /// other side is.
    pub fn drain(&self) -> Result<()> {
        let nothing = capture::empty()?;
        let (mut least, mut deadline) = (usize::MAX, Instant::now() + HANG_GUARD);
        loop {
            let waits = waiting(&self.replay(&nothing)?.log);
            if waits == 0 {
                return Ok(());
            }
            if waits < least {
                (least, deadline) = (waits, Instant::now() + HANG_GUARD);
            }
            ensure!(Instant::now() < deadline, "{least} records stay in the spool");
        }
    }

    /// Waits until the spool of the sink called `test` has these bytes.
    pub fn has_spooled(&self, bytes: &str) -> Result<()> {
        let directory = self.path("spool").join("test");
        until(&format!("{bytes} is in the spool"), || {
            let mut files = fs::read_dir(&directory)?.flatten();
            let has = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|at| at == what);
            // A file may go between two looks.
            let found = files
                .any(|file| fs::read(file.path()).is_ok_and(|all| has(&all, bytes.as_bytes())));
            ensure!(found, "it is not in {}", directory.display());
            Ok(())
        })
    }

    /// Begins to play a capture.
    pub fn start(&self, capture: &NamedTempFile) -> Result<Running> {
        // The caller's may go before the agent has opened it.
        let own = NamedTempFile::new_in(self.dir.path())?;
        fs::copy(capture.path(), own.path())?;
        Running::of(
            self.command(["replay", "-o", "json"]).arg(own.path()),
            (own, Arc::clone(&self.dir)),
        )
    }

    /// The agent with arguments, and this configuration.
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(binary().unwrap_or_default());
        command.args(args).arg("--config").arg(self.config()).env("NODE_NAME", NODE);
        command.env("STATE_DIRECTORY", self.dir.path());
        command
    }
}

/// What the agent says at its end when a spool has something left.
pub const WAITS: &str = "wait in the spool";

/// How many records it said at its end that its spools have left.
fn waiting(log: &str) -> usize {
    let lines = log.lines().filter_map(|line| line.split_once(WAITS));
    let counts =
        lines.filter_map(|(before, _)| before.split(' ').rev().nth(2)?.parse::<usize>().ok());
    counts.sum::<usize>().max(usize::from(log.contains(WAITS)))
}

/// Settings of a sink called `test` that tries again soon and has no spool: a replay waits for its server.
pub const PATIENT: &str =
    "[sinks.test.batch]\nlongest_pause = '1s'\n[sinks.test.spool]\nenabled = false";

/// Records that may be on their way into a spool when the agent is killed: the queue before it, and as
/// many taken out of it.
pub const ON_THE_WAY: usize = 2 * 1_024 + 1;

/// Name of the node that the agent runs on.
pub const NODE: &str = "test-node";

fn binary() -> Result<PathBuf> {
    let binary = env::var_os("NODEPROBE_BIN")
        .context("NODEPROBE_BIN does not name the built agent: run `cargo xtask backends`")?;
    // Relative to the workspace, as whoever set it saw it.
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(binary))
}

/// An agent at work. Killed when dropped.
pub struct Running {
    child: Child,
    ids: Receiver<Result<String>>,
    found: Vec<String>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    _own: (NamedTempFile, Arc<TempDir>),
}

impl Running {
    fn of(command: &mut Command, own: (NamedTempFile, Arc<TempDir>)) -> Result<Self> {
        binary()?;
        end_with_us(command);
        let streams = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = streams.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("the agent has no stdout")?;
        let stderr = child.stderr.take().context("the agent has no stderr")?;
        let (to, ids) = mpsc::channel();
        let log = Arc::<Mutex<String>>::default();
        let kept = Arc::clone(&log);
        let readers = vec![
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                // Nobody listens any more when the test is over.
                lines.for_each(|line| drop(to.send(id_of_line(&line))));
            }),
            thread::spawn(move || keep(stderr, &kept)),
        ];
        Ok(Self { child, ids, found: Vec::new(), log, readers, _own: own })
    }

    /// Waits until it has found so many records.
    pub fn finds(&mut self, records: usize) -> Result<()> {
        while self.found.len() < records {
            match self.ids.recv_timeout(HANG_GUARD) {
                Ok(id) => self.found.push(id?),
                Err(RecvTimeoutError::Timeout) => bail!("it finds nothing more{}", self.said()),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("it ended with {} of {records} records{}", self.found.len(), self.said())
                }
            }
        }
        Ok(())
    }

    /// Waits until it says these words on standard error.
    pub fn says(&self, words: &str) -> Result<()> {
        until(&format!("the agent says {words:?}"), || {
            ensure!(self.log().contains(words), "it said{}", self.said());
            Ok(())
        })
    }

    /// What it said on standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn said(&self) -> String {
        format!(":\n{}", self.log())
    }

    /// Whether it ended.
    pub fn is_over(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(self) -> Result<Run> {
        let run = self.end()?;
        ensure!(run.status.success(), "the agent ended with {}:\n{}", run.status, run.log);
        Ok(run)
    }

    /// Waits for its end, whichever it is.
    pub fn end(mut self) -> Result<Run> {
        let deadline = Instant::now() + 2 * HANG_GUARD;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(Instant::now() < deadline, "the agent does not end{}", self.said());
            thread::sleep(POLL);
        };
        self.over(status)
    }

    /// Kills it at once; what it had found until then is returned.
    pub fn kill(mut self) -> Result<Run> {
        self.child.kill()?;
        let status = self.child.wait()?;
        self.over(status)
    }

    fn over(mut self, status: ExitStatus) -> Result<Run> {
        for reader in self.readers.drain(..) {
            reader.join().map_err(|_| anyhow!("a reader of the agent's output panicked"))?;
        }
        let mut ids = std::mem::take(&mut self.found);
        for id in self.ids.try_iter() {
            // The line it was killed in is none.
            match id {
                Err(error) if status.success() => return Err(error),
                id => ids.extend(id),
            }
        }
        Ok(Run { ids, log: self.log(), status })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
        println!("-- the agent said{}", self.said());
    }
}

fn keep(mut from: impl Read, log: &Mutex<String>) {
    let mut bytes = [0; 4_096];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..read]);
        log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
    }
}
