//! Findings on stdout: for the eye on a terminal, JSON lines otherwise.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::{Arc, mpsc::Receiver},
};

use super::{human, json};
use crate::{config::Format, findings::Finding};

/// Name of the sink in metrics and messages.
pub const NAME: &str = "stdout";

/// Writes findings until the queue closes.
///
/// # Errors
/// When stdout cannot be written to (a closed pipe, a full disk).
pub fn run(format: Format, findings: &Receiver<Arc<Finding>>) -> io::Result<()> {
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
