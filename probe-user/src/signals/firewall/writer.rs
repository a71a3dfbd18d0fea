//! Who writes rules: an agent, mostly through a tool that lives for some milliseconds.

use super::FirewallWrite;
use crate::{
    event::{BootNs, Comm, Event},
    signals::tools::{is_adopter, is_shell, is_tool},
};

/// The native tool of nftables: whoever uses it means nftables, whatever the table is called.
const NATIVE: &[u8] = b"nft";

/// An agent that writes to one table by one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer {
    pub pid: u32,
    pub comm: Comm,
    /// The tool it uses, when that is another program.
    pub through: Option<Comm>,
    pub cgroup: Option<u64>,
    pub writes: u64,
    pub latest: BootNs,
}

impl Writer {
    /// Whoever wants this write done.
    #[must_use]
    pub fn behind(event: &Event, write: &FirewallWrite) -> Self {
        let context = &event.context;
        let starter = write
            .started_by
            .filter(|(pid, comm)| is_tool(context.comm.bytes()) && !is_adopter(*pid, comm.bytes()));
        let (pid, comm) = starter.unwrap_or((context.pid, context.comm));
        Self {
            pid,
            comm,
            through: starter.map(|_| context.comm),
            cgroup: context.cgroup,
            writes: event.count() as u64,
            latest: context.at,
        }
    }

    /// Whether it is the same agent. A name that is many's, of a shell or of a tool that nobody known
    /// started, tells of no agent.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let named = !is_shell(self.comm.bytes()) && !is_tool(self.comm.bytes());
        named && self.comm == other.comm && self.cgroup == other.cgroup
    }

    /// Whether it is one line in a finding with the other.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.comm, self.through, self.cgroup) == (other.comm, other.through, other.cgroup)
    }
}

/// Whether a write is by the native tool of nftables.
#[must_use]
pub fn is_native(event: &Event) -> bool {
    event.context.comm.bytes() == NATIVE
}
