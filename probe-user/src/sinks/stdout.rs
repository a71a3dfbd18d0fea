//! Findings on stdout: for the eye on a terminal, JSON lines otherwise.

use std::{
    env,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use super::{Queue, human, json};
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

/// Writes findings until the queue closes.
///
/// # Errors
/// When stdout cannot be written to (a closed pipe, a full disk).
pub fn run(format: Format, findings: Queue) -> io::Result<()> {
    let mut out = io::stdout();
    let terminal = out.is_terminal();
    // https://no-color.org: set and not empty.
    let colour = terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let human = match format {
        Format::Human => true,
        Format::Json => false,
        Format::Auto => terminal,
    };
    for finding in findings {
        if human {
            human::write(&finding, colour, &mut out)?;
        } else {
            json::write(&finding, &mut out)?;
        }
        out.flush()?;
    }
    Ok(())
}
