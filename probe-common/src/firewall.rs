//! firewall: writes to the tables of the packet filter, by both of its backends.

use crate::wire::{COMM_LEN, Header};

/// Length kept of a table's name (bytes); `XT_TABLE_MAXNAMELEN` of include/uapi/linux/netfilter/x_tables.h.
pub const TABLE_LEN: usize = 32;

/// `NFPROTO_IPV4` of include/uapi/linux/netfilter.h.
pub const IPV4: u8 = 2;
/// `NFPROTO_IPV6`.
pub const IPV6: u8 = 10;

/// Bits of [`FirewallRecord::marks`].
pub mod mark {
    /// A table was deleted.
    pub const TABLE_DELETED: u8 = 1 << 0;
    /// The batch goes on behind what was looked at: the counts are too low.
    pub const CUT: u8 = 1 << 1;
}

/// One write to a table.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirewallRecord {
    pub header: Header,
    /// `net_cookie` of the network namespace; 0 when this kernel has none.
    pub netns_cookie: u64,
    /// Process id of the parent: `iptables` is run by an agent.
    pub parent_tgid: u32,
    /// Name of the parent.
    pub parent_comm: [u8; COMM_LEN],
    /// Name of the table, NUL-padded; of several in one batch the first with rules.
    pub table: [u8; TABLE_LEN],
    /// `NFPROTO_*`.
    pub family: u8,
    /// Bits of [`mark`].
    pub marks: u8,
    pub _pad: [u8; 2],
    /// legacy: entries of the whole table as it is now, without those every table has. nft: rules added.
    pub rules: u32,
    /// nft: rules, or whole chains of them, that were deleted.
    pub removed: u32,
}

const _: () = assert!(size_of::<FirewallRecord>() == 128);
