//! Running other programs: progress while they run, the end of their output when they fail.

use std::{
    env,
    io::{IsTerminal, Read, Write, pipe},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// What is done in less time than this is not worth a line.
const QUIET: Duration = Duration::from_secs(2);
const TAIL_LINES: usize = 40;

/// A line on standard error for work that takes longer than two seconds.
pub struct Progress {
    done: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins the work `title` names; it ends when the value is dropped.
    pub fn start(title: impl Into<String>) -> Self {
        let (done, wait) = mpsc::channel();
        let title = title.into();
        let ticker = thread::spawn(move || {
            let started = Instant::now();
            let mut pause = QUIET;
            let mut shown = false;
            let redraw = std::io::stderr().is_terminal();
            while wait.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                if redraw {
                    eprint!("\r==> {title} ... {} s", started.elapsed().as_secs());
                } else if !shown {
                    eprint!("==> {title} ...");
                }
                let _ = std::io::stderr().flush();
                shown = true;
                pause = Duration::from_secs(1);
            }
            match (shown, redraw) {
                (true, true) => eprintln!(),
                (true, false) => eprintln!(" {} s", started.elapsed().as_secs()),
                (false, _) => {}
            }
        });
        Self { done: Some(done), ticker: Some(ticker) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(ticker) = self.ticker.take() {
            let _ = ticker.join();
        }
    }
}

/// Runs a command under a progress line and returns all it printed; a failure shows the end of that.
pub fn step(title: &str, command: &mut Command) -> Result<String> {
    let progress = Progress::start(title);
    let (mut reader, writer) = pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    // The command holds the pipe's write end too: without this the reader below would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = child.wait()?;
    drop(progress);
    let output = String::from_utf8_lossy(&output).into_owned();
    if !status.success() {
        bail!("{title} failed ({status}): {}\n{}", shown(command), tail(&output));
    }
    Ok(output)
}

/// What a quick command prints on standard output; `None` when it cannot run or fails.
pub fn query(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A command as one would type it, without its environment.
fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The last lines of a text, indented.
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines[skipped..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Cargo, in the workspace, free of what the cargo that runs this xtask left in the environment.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(crate::paths::root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let inherited = text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || matches!(
                &*text,
                "CARGO"
                    | "CARGO_ENCODED_RUSTFLAGS"
                    | "LD_LIBRARY_PATH"
                    | "OUT_DIR"
                    | "RUSTC"
                    | "RUSTC_BOOTSTRAP"
                    | "RUSTC_WORKSPACE_WRAPPER"
                    | "RUSTDOC"
                    | "RUSTFLAGS"
            );
        if inherited {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Whether this process may do everything.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether [`as_root`] works without asking anybody.
pub fn can_be_root() -> bool {
    is_root() || query(Command::new("sudo").args(["--non-interactive", "true"])).is_some()
}

/// A command run as root, through sudo when need be; `None` when neither is possible.
pub fn as_root(program: impl AsRef<Path>) -> Option<Command> {
    if is_root() {
        return Some(Command::new(program.as_ref()));
    }
    let mut command = Command::new(crate::paths::program("sudo")?);
    command.arg("--").arg(program.as_ref());
    Some(command)
}
