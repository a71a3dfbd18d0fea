//! Under which name a task's waits, and the waits for it, are summed up.

use super::Party;
use crate::{event::Comm, signals::tools::is_tool};

/// What the kernel calls the queue that namespaces are taken down on (net/core/net_namespace.c).
const NETNS: &[u8] = b"netns";

/// Takes over the children of whoever ends, so it says nothing of who started them.
const INIT: u32 = 1;

/// The one that wants what a task does. Tools and plug-ins live for milliseconds, so it is known by its
/// name and not by its process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agent {
    /// A program, or the one that ran `ip` or `tc`.
    Program(Comm),
    /// A worker of the kernel, by its workqueue; empty when that is not known.
    Worker(Comm),
}

impl Agent {
    /// The one behind a task.
    #[must_use]
    pub fn behind(party: &Party) -> Self {
        match (party.work, party.parent) {
            (Some(work), _) => Self::Worker(work),
            (None, Some((pid, parent))) if is_tool(party.comm.bytes()) && pid != INIT => {
                Self::Program(parent)
            }
            (None, _) if party.comm.bytes().starts_with(b"kworker/") => {
                Self::Worker(Comm::default())
            }
            (None, _) => Self::Program(party.comm),
        }
    }

    /// Its name for a human.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Program(comm) => comm.text().unwrap_or_else(|| "a process".into()),
            Self::Worker(queue) if queue.bytes() == NETNS => "netns cleanup".into(),
            Self::Worker(queue) => match queue.text() {
                Some(queue) => format!("kernel worker ({queue})"),
                None => "kernel worker".into(),
            },
        }
    }
}
