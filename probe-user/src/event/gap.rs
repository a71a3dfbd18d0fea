//! What the agent knows of records that never came.

use serde::{Deserialize, Serialize};

/// Records of a signal were lost: what was concluded from the order of things may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Index of the signal on the wire.
    pub signal: u32,
    /// `false` ahead of the records among which some are missing, `true` behind the last of them.
    pub passed: bool,
}

/// Sockets that were there at a moment, of whatever family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSockets {
    /// Whether all of them could be listed.
    pub whole: bool,
    /// As netlink records name them, ascending.
    pub ids: Vec<u64>,
    /// Processes whose fds could not be read, ascending: what those hold is not known.
    pub unread: Vec<u32>,
}

impl HeldSockets {
    /// Whether a socket that this process opened is no more.
    #[must_use]
    pub fn is_gone(&self, id: u64, pid: u32) -> bool {
        self.whole
            && self.ids.binary_search(&id).is_err()
            && self.unread.binary_search(&pid).is_err()
    }
}
