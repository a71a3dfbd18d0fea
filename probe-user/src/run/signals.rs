//! The signals that ask the agent for something.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    End,
    /// To read the configuration again, and to open files again.
    Reload,
}

/// SIGINT, SIGTERM and SIGHUP, which from now on end nothing by themselves.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Whether it began on a terminal, whose hangup is the end.
    on_terminal: bool,
}

impl Signals {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the kernel, or the runtime, does not let it.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: io::stdout().is_terminal(),
        })
    }

    /// Waits until one of them comes.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End,
            _ = self.terminate.recv() => Asked::End,
            // One that hung up is no terminal any more.
            _ = self.hangup.recv() => match self.on_terminal && !io::stdout().is_terminal() {
                true => Asked::End,
                false => Asked::Reload,
            }
        }
    }
}
