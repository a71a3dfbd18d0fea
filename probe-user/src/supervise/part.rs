//! What the supervisor knows of a thread or task beforehand.

use std::time::Duration;

/// A thread or task of the agent.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Its name in messages and metrics; of a thread also in the kernel, which keeps 15 bytes.
    pub name: &'static str,
    pub end: End,
    /// What to do when it fails, for whoever reads the line.
    pub help: &'static str,
    /// What its loop promises; `None` where another loop drives it.
    pub turns: Option<Turns>,
}

/// What it means when a part ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The agent would be blind or mute without it, so it ends too.
    Never,
    /// It may return when it has done its work; an error or a panic ends the agent.
    WhenDone,
    /// The agent can do without it, however it ends. Said and counted.
    Any,
}

/// What a loop promises.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    /// Longest time between two turns while it does not wait for work; after that it is stuck.
    pub within: Duration,
    /// Whether the agent is better restarted than left with it stuck: `/livez` and the watchdog of
    /// the service manager go by the vital ones. A loop that waits for somebody else, a reader of
    /// stdout or a file of another process, is not: after a restart it would wait again, and what works
    /// would have been thrown away.
    pub vital: bool,
}
