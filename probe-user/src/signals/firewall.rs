//! firewall: writes to the tables of iptables, by both of its backends: the legacy one, and the one that
//! makes rules of nftables. Each keeps tables of its own, and the kernel obeys both.

use probe_common::{
    firewall::{FirewallRecord, IPV4, IPV6, TABLE_LEN, mark},
    wire::{Header, kind, signal},
};
use serde::Serialize;

use super::Signal;
use crate::{
    decode::{self, DecodeError},
    event::{self, Body, Comm},
    probe::{
        hook::{Attachment, Hook, Rung, Step, Target},
        reads,
    },
};

mod detect;
mod evidence;
mod rules;
mod side;
mod writer;

pub use evidence::{FirewallEvidence, Written};
use rules::TWO_BACKENDS;

pub static SIGNAL: Signal = Signal {
    wire: signal::FIREWALL,
    name: "firewall",
    hooks: &[NFT, LEGACY, LEGACY6],
    kinds: &[(kind::FIREWALL_LEGACY, "legacy"), (kind::FIREWALL_NFT, "nft")],
    rules: &[&TWO_BACKENDS],
    decode: decode_record,
    detector: |config| Box::new(detect::FirewallDetector::new(&config.firewall)),
};

const NF_TABLES: &str = "nf_tables";
const IP_TABLES: &str = "ip_tables";
const IP6_TABLES: &str = "ip6_tables";

/// What is asked for comes to nfnetlink, a module below nf_tables.
const NFT: Hook = Hook {
    name: "nft",
    sees: "writes to tables of nftables, iptables-nft's among them",
    reads: &[&reads::CGROUP_V1, &reads::STARTERS, &reads::NETNS_OF_TABLE, &reads::BATCH],
    unread: None,
    steps: &[Step {
        rung: Rung::Kprobe,
        programs: &[
            Attachment::new("firewall_commit", Target::Kprobe("nf_tables_commit"))
                .in_module(NF_TABLES),
            Attachment::new("firewall_batch", Target::Kprobe("nfnetlink_rcv")).in_module(NF_TABLES),
        ],
        misses: "",
    }],
};

const LEGACY: Hook = Hook {
    name: "legacy",
    sees: "writes to IPv4 tables of legacy iptables",
    reads: &[&reads::CGROUP_V1, &reads::STARTERS, &reads::NETNS_OF_TABLE],
    unread: None,
    steps: &[Step {
        rung: Rung::Kprobe,
        programs: &[
            Attachment::new("firewall_legacy_done", Target::Kretprobe("do_ipt_set_ctl"))
                .in_module(IP_TABLES),
            Attachment::new("firewall_legacy", Target::Kprobe("do_ipt_set_ctl"))
                .in_module(IP_TABLES),
        ],
        misses: "",
    }],
};

const LEGACY6: Hook = Hook {
    name: "legacy6",
    sees: "writes to IPv6 tables of legacy iptables",
    reads: &[&reads::CGROUP_V1, &reads::STARTERS, &reads::NETNS_OF_TABLE],
    unread: None,
    steps: &[Step {
        rung: Rung::Kprobe,
        programs: &[
            Attachment::new("firewall_legacy6_done", Target::Kretprobe("do_ip6t_set_ctl"))
                .in_module(IP6_TABLES),
            Attachment::new("firewall_legacy6", Target::Kprobe("do_ip6t_set_ctl"))
                .in_module(IP6_TABLES),
        ],
        misses: "",
    }],
};

/// A backend of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Its own tables, written as a whole with setsockopt(2).
    Legacy,
    /// nftables, written rule by rule through netlink.
    Nft,
}

/// A protocol that both backends have tables of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Ip,
    Ip6,
}

/// A table that legacy iptables has, and iptables-nft makes under the same name. Others are somebody's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table(&'static str);

impl Table {
    const NAMES: [&'static str; 5] = ["filter", "nat", "mangle", "raw", "security"];

    fn named(name: &[u8]) -> Option<Self> {
        Self::NAMES.into_iter().find(|known| known.as_bytes() == name).map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// A write that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FirewallWrite {
    pub backend: Backend,
    /// `None` where the other backend has no such family, and for a batch about all of them.
    pub family: Option<Family>,
    /// Name of the table, NUL-padded; empty for a batch about all tables.
    #[serde(serialize_with = "event::name")]
    pub name: [u8; TABLE_LEN],
    /// A network namespace's inode number is used again, its cookie is not. `None` where kernels have none.
    pub netns_cookie: Option<u64>,
    /// Who started the process: `iptables` is only the hand of it.
    #[serde(serialize_with = "event::starter")]
    pub started_by: Option<(u32, Comm)>,
    /// legacy: entries of the whole table as it is now, without those every table has. nft: rules added.
    pub rules: u32,
    /// nft: rules, or whole chains of them, that were deleted.
    pub removed: u32,
    /// A table was deleted.
    pub table_deleted: bool,
    /// The batch was too long to be looked at as a whole: there are more rules.
    pub cut: bool,
}

impl FirewallWrite {
    /// The table, where iptables has it.
    #[must_use]
    pub fn table(&self) -> Option<Table> {
        Table::named(crate::event::until_nul(&self.name))
    }
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    let record: FirewallRecord = decode::read(header.kind, bytes)?;
    let starter = (record.parent_tgid, Comm(record.parent_comm));
    Ok(Body::Firewall(FirewallWrite {
        backend: match header.kind {
            kind::FIREWALL_LEGACY => Backend::Legacy,
            _ => Backend::Nft,
        },
        family: match record.family {
            IPV4 => Some(Family::Ip),
            IPV6 => Some(Family::Ip6),
            _ => None,
        },
        name: record.table,
        netns_cookie: (record.netns_cookie != 0).then_some(record.netns_cookie),
        started_by: (record.parent_tgid != 0).then_some(starter),
        rules: record.rules,
        removed: record.removed,
        table_deleted: record.marks & mark::TABLE_DELETED != 0,
        cut: record.marks & mark::CUT != 0,
    }))
}

#[cfg(test)]
mod tests;
