//! What is provoked, and what must come of it.

use probe_common::wire::kind;

use super::{
    acts::{ActError, capped, flip, leak},
    stage::Stage,
};
use crate::{
    event::BootNs,
    signals::{Signal, fork, netlink, tc},
};

/// Times that a handle comes back in the flip, and the threshold (default 3).
pub const TOGGLES: usize = 1;
/// Clones that are refused, and the threshold (default 5).
pub const FAILURES: usize = 1;
/// Netlink sockets that stay open, and the threshold (default 64, rising, or 512).
pub const SOCKETS: usize = 16;

/// An incident in small.
pub struct Trial {
    pub signal: &'static Signal,
    /// The kind of record that its rule lives by.
    pub kind: u16,
    /// The rule that must hold.
    pub rule: &'static str,
    /// What is done, in words.
    pub what: &'static str,
    /// Does it. Tells when the last step was about to be done, which is the one that must be noticed.
    pub act: fn(&mut Stage) -> Result<BootNs, ActError>,
}

/// Every one, in the order they are played.
pub static TRIALS: [Trial; 3] = [
    Trial {
        signal: &tc::SIGNAL,
        kind: kind::TC_REQUEST,
        rule: "tc-handle-toggle",
        what: "a filter on the clsact of a veth flips between two handles",
        act: flip::flip,
    },
    Trial {
        signal: &fork::SIGNAL,
        kind: kind::FORK_FAILED,
        rule: "fork-failures",
        what: "a clone is refused by the pids.max of a cgroup",
        act: capped::refuse,
    },
    Trial {
        signal: &netlink::SIGNAL,
        kind: kind::NETLINK_OPEN,
        rule: "netlink-leak",
        what: "16 netlink sockets are opened and held",
        act: leak::leak,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_kinds_are_those_of_the_signals() {
        for Trial { signal, kind, rule, .. } in &TRIALS {
            assert!(signal.rules.iter().any(|known| known.name == *rule), "{rule}");
            assert!(signal.kinds.iter().any(|(known, _)| known == kind), "{rule}");
        }
    }
}
