//! Findings on stdout or stderr: for the eye on a terminal, JSON lines otherwise.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal, Write},
    mem::ManuallyDrop,
    os::fd::{FromRawFd, RawFd},
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    Backend, Plan, Policy,
    backend::{Answer, Sending},
    file::encode,
    filter::Filter,
    lines::{self, Lines, Out},
    record::Record,
    store::Most,
};
use crate::{
    config::{Format, OutputConfig, To},
    supervise::{End, Part, Turns},
};

pub mod human;

/// Names of the sink in metrics and messages, by where it writes.
pub const NAMES: [&str; 2] = ["stdout", "stderr"];

/// The sink's thread where it writes to stdout. A reader that stalls is not the agent's fault: what finds no room in the queue is
/// counted, all else goes on.
pub const PART: Part = Part {
    name: "sink-stdout",
    end: End::Never,
    help: "nobody can read the findings: start nodeprobe again with a reader that stays, or a file with room",
    turns: Some(Turns { within: Duration::from_secs(30), vital: false }),
};

/// One finding at a time: what was written of it is known to the byte.
const POLICY: Policy = Policy {
    most: Most { records: 1, bytes: usize::MAX },
    linger: Duration::ZERO,
    timeout: ANY_TIME,
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_secs(2),
    last_words: ANY_TIME,
};

/// A reader may take as long as it likes; whoever ends the agent has a limit of its own.
const ANY_TIME: Duration = Duration::from_secs(24 * 3600);

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Json,
    Human { colour: bool },
}

/// The sink, before it starts; `None` where it is not wanted. A patient one makes who finds something
/// wait for the reader.
#[must_use]
pub fn plan(output: &OutputConfig, patient: bool) -> Option<Plan> {
    let [stdout, stderr] = NAMES;
    let (name, part, fd) = match output.to {
        To::Stdout => (stdout, PART, libc::STDOUT_FILENO),
        To::Stderr => (stderr, Part { name: "sink-stderr", ..PART }, libc::STDERR_FILENO),
        To::None => return None,
    };
    let backend = Box::new(StdoutBackend::new(output.format, fd));
    let filter = Filter::default();
    Some(Plan { name, part, filter, patient, policy: POLICY, spool: None, backend })
}

/// Standard output, or standard error.
struct StdoutBackend {
    style: Style,
    lines: Lines<Standard>,
}

impl StdoutBackend {
    fn new(format: Format, fd: RawFd) -> Self {
        let out = Standard::new(fd);
        let terminal = out.0.is_terminal();
        // https://no-color.org: set and not empty.
        let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let style = match format {
            Format::Human => Style::Human { colour },
            Format::Json => Style::Json,
            Format::Auto if terminal => Style::Human { colour },
            Format::Auto => Style::Json,
        };
        // It may be open for writing only.
        let open_end = lines::ends_open(Path::new(&format!("/proc/self/fd/{fd}")));
        Self { style, lines: Lines::new(out, open_end) }
    }

    fn write(&mut self, record: &Record) -> Answer {
        match (self.style, record.finding()) {
            (Style::Human { colour }, Some(finding)) => {
                let mut line = Vec::new();
                match human::write(finding, colour, &mut line) {
                    Ok(()) => self.lines.write(&line),
                    Err(error) => Answer::Over(error.to_string()),
                }
            }
            _ => self.lines.write(&encode::line(record)),
        }
    }
}

impl Backend for StdoutBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(Answer::one_by_one(batch, async |record| self.write(record)))
    }
}

/// A standard stream without a buffer: what a write did not take is known to the byte.
struct Standard(ManuallyDrop<File>);

impl Standard {
    /// Of an fd below 3.
    fn new(fd: RawFd) -> Self {
        // SAFETY: the fd is open for as long as the process lives, and is never closed by this.
        Self(ManuallyDrop::new(unsafe { File::from_raw_fd(fd) }))
    }
}

impl Out for Standard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn length(&self) -> Option<u64> {
        lines::length(&self.0)
    }
}
