//! Findings on stdout: for the eye on a terminal, JSON lines otherwise.

use std::{
    env,
    fs::File,
    io::{self, IsTerminal, Read, Seek, SeekFrom, Write},
    mem::ManuallyDrop,
    os::fd::FromRawFd,
    thread,
    time::Duration,
};

use super::{
    Inlet, human, json,
    persist::{Out, Persistent},
};
use crate::{
    config::Format,
    supervise::{End, Part, Turns},
};

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

/// Writes findings until the queue closes. What keeps it from writing is waited out.
///
/// # Errors
/// When stdout is of no use any more: nobody reads the pipe.
pub fn run(format: Format, inlet: &Inlet) -> io::Result<()> {
    let terminal = io::stdout().is_terminal();
    // https://no-color.org: set and not empty.
    let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let human = match format {
        Format::Human => true,
        Format::Json => false,
        Format::Auto => terminal,
    };
    // A file that may not grow further is an error to wait out (setrlimit(2)), no reason to be killed.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut out = Persistent::new(Stdout::new());
    let mut text = if ends_torn() { b"\n".to_vec() } else { Vec::new() };
    while let Some(finding) = inlet.next() {
        if human {
            human::write(&finding, colour, &mut text)?;
        } else {
            json::write(&finding, &mut text)?;
        }
        out.write(&text, inlet)?;
        text.clear();
    }
    Ok(())
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
        let file = self.0.metadata().ok().filter(|metadata| metadata.is_file())?;
        Some(file.len())
    }

    fn rest(&mut self, pause: Duration) {
        thread::sleep(pause);
    }
}
