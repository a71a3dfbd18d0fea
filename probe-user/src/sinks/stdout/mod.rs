//! Findings on stdout: for the eye on a terminal, JSON lines otherwise.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal, Read, Seek, SeekFrom, Write},
    mem::ManuallyDrop,
    os::fd::FromRawFd,
    sync::Arc,
    time::Duration,
};

use super::{
    Backend, Plan, Policy,
    backend::{Answer, Sending},
    filter::Filter,
    lines::{self, Lines, Out},
    record::Record,
    store::Most,
};
use crate::{
    config::Format,
    supervise::{End, Part, Turns},
};

pub mod human;

/// Name of the sink in metrics and messages.
pub const NAME: &str = "stdout";

/// The sink's thread. A reader that stalls is not the agent's fault: what finds no room in the queue is
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

/// A reader of stdout may take as long as it likes; whoever ends the agent has a limit of its own.
const ANY_TIME: Duration = Duration::from_secs(24 * 3600);

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Json,
    Human { colour: bool },
}

/// The sink, before it starts. A patient one makes who finds something wait for the reader.
#[must_use]
pub fn plan(format: Format, patient: bool) -> Plan {
    let backend = Box::new(StdoutBackend::new(format));
    Plan {
        name: NAME,
        part: PART,
        filter: Filter::default(),
        patient,
        policy: POLICY,
        spool: None,
        backend,
    }
}

/// Standard output.
struct StdoutBackend {
    style: Style,
    lines: Lines<Stdout>,
    /// Whether an earlier agent left half a line there.
    torn: bool,
}

impl StdoutBackend {
    fn new(format: Format) -> Self {
        let terminal = io::stdout().is_terminal();
        // https://no-color.org: set and not empty.
        let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let style = match format {
            Format::Human => Style::Human { colour },
            Format::Json => Style::Json,
            Format::Auto if terminal => Style::Human { colour },
            Format::Auto => Style::Json,
        };
        // A file that may not grow further is an error to wait out (setrlimit(2)), no reason to be killed.
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        Self { style, lines: Lines::new(Stdout::new()), torn: ends_torn() }
    }

    fn line(&self, record: &Record) -> io::Result<Vec<u8>> {
        let mut line = if self.torn { b"\n".to_vec() } else { Vec::new() };
        match (self.style, record.finding()) {
            (Style::Human { colour }, Some(finding)) => human::write(finding, colour, &mut line)?,
            _ => writeln!(line, "{}", record.json())?,
        }
        Ok(line)
    }
}

impl Backend for StdoutBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let mut answer = Answer::taken();
            for record in batch {
                answer = match self.line(record) {
                    Ok(line) => self.lines.write(&line),
                    Err(error) => Answer::Over(error.to_string()),
                };
                self.torn &= !matches!(answer, Answer::Taken { .. });
            }
            answer
        })
    }
}

/// Whether stdout is a file whose last line has no end, as an agent leaves it that was killed while
/// it wrote: what comes next is to be a line of its own.
fn ends_torn() -> bool {
    let last = || {
        // Stdout itself may be for writing only.
        let mut file = File::open("/proc/self/fd/1")?;
        if !file.metadata()?.is_file() {
            return Ok([b'\n']);
        }
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        io::Result::Ok(last)
    };
    last().is_ok_and(|last| last != [b'\n'])
}

/// Standard output without a buffer: what a write did not take is known to the byte.
struct Stdout(ManuallyDrop<File>);

impl Stdout {
    fn new() -> Self {
        // SAFETY: the fd is open for as long as the process lives, and is never closed by this.
        Self(ManuallyDrop::new(unsafe { File::from_raw_fd(libc::STDOUT_FILENO) }))
    }
}

impl Out for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn length(&self) -> Option<u64> {
        lines::length(&self.0)
    }
}
