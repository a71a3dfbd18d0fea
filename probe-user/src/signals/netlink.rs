//! netlink: sockets a process opens and never closes. Creation rate says nothing (`ip` opens and
//! closes one a call); what stays open counts.

use probe_common::{
    netlink::{NO_STACK, NetlinkRecord},
    wire::{Header, flag, kind, signal},
};
use serde::Serialize;

use super::{Signal, trend::duration_label};
use crate::{
    decode::{self, DecodeError},
    enrich::subject::Subject,
    event::Body,
    probe::{
        hook::{Attachment, Hook, Rung, Step, Target},
        reads,
    },
};

pub mod birthplace;
mod detect;
mod rules;
mod sockets;

use birthplace::{Birth, Birthplace};
use rules::LEAK;

pub static SIGNAL: Signal = Signal {
    wire: signal::NETLINK,
    name: "netlink",
    hooks: &[SOCKETS],
    kinds: &[
        (kind::NETLINK_OPEN, "open"),
        (kind::NETLINK_CLOSE, "close"),
        (kind::NETLINK_OWNER_EXIT, "owner_exit"),
        (kind::NETLINK_CHURN, "churn"),
    ],
    rules: &[&LEAK],
    decode: decode_record,
    detector: |config| Box::new(detect::NetlinkDetector::new(&config.netlink)),
};

const SOCKETS: Hook = Hook {
    name: "sockets",
    sees: "netlink sockets that come and go",
    reads: &[
        &reads::CGROUP_V1,
        &reads::NETNS_OF_SOCKET,
        &reads::NETNS_OF_CALLER,
        &reads::SOCKET,
        &reads::USER_STACK,
        &reads::LAST_THREAD,
    ],
    unread: None,
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[
                // Closes first, so that no socket seen opening is missed closing.
                Attachment::new("netlink_close_fentry", Target::Fentry("netlink_release")),
                Attachment::new("netlink_open_fexit", Target::Fexit("netlink_create")),
            ],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[
                Attachment::new("netlink_close_kprobe", Target::Kprobe("netlink_release")),
                Attachment::new("netlink_open_kretprobe", Target::Kretprobe("netlink_create")),
                Attachment::new("netlink_open_kprobe", Target::Kprobe("netlink_create")),
            ],
            misses: "",
        },
        Step {
            rung: Rung::Tracepoint,
            programs: &[
                syscall("netlink_sys_enter_close", "sys_enter_close"),
                Attachment::new(
                    "netlink_process_exit",
                    Target::Tracepoint("sched", "sched_process_exit"),
                ),
                syscall("netlink_sys_exit_socket", "sys_exit_socket"),
                syscall("netlink_sys_enter_socket", "sys_enter_socket"),
            ],
            misses: "sockets opened before the agent started; copies of a socket (dup, fork, \
                     SCM_RIGHTS): each is counted for the process that opened it until that one \
                     closes it or exits; closes by dup2, close_range or exec, until the fd is used \
                     again; every syscall of the node takes the traced path",
        },
    ],
};

/// Whether records of this rung name a socket by its inode, as /proc does. One that /proc told of
/// would never be seen closing where they do not.
#[must_use]
pub fn names_inodes(rung: Rung) -> bool {
    match rung {
        Rung::Fexit | Rung::Kprobe => true,
        Rung::Tracepoint => false,
    }
}

const fn syscall(program: &'static str, name: &'static str) -> Attachment {
    Attachment::new(program, Target::Tracepoint("syscalls", name))
}

/// A netlink socket came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NetlinkChange {
    Opened {
        socket: u64,
        protocol: u32,
        /// A number that only this agent can make words of.
        #[serde(skip)]
        birth: Birth,
    },
    /// It was open before the agent started.
    Seeded {
        socket: u64,
        protocol: u32,
    },
    Closed {
        socket: u64,
    },
    /// Sockets came and went unseen, two events each: too many to tell of each.
    Churned {
        protocol: u32,
    },
    /// A process is gone, with every socket it still had.
    OwnerExited,
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    let record: NetlinkRecord = decode::read(header.kind, bytes)?;
    let (socket, protocol) = (record.socket, record.protocol);
    Ok(Body::Netlink(match header.kind {
        kind::NETLINK_OPEN if header.flags & flag::SEEDED != 0 => {
            NetlinkChange::Seeded { socket, protocol }
        }
        kind::NETLINK_OPEN => NetlinkChange::Opened { socket, protocol, birth: birth_in(&record) },
        kind::NETLINK_CHURN => NetlinkChange::Churned { protocol },
        kind::NETLINK_CLOSE => NetlinkChange::Closed { socket },
        _ => NetlinkChange::OwnerExited,
    }))
}

fn birth_in(record: &NetlinkRecord) -> Birth {
    let caller = record.caller;
    match u32::try_from(record.stack) {
        Ok(id) => Birth::Noted { stack: Ok(id), caller },
        Err(_) if record.stack == NO_STACK => Birth::Early,
        Err(_) => Birth::Noted { stack: Err(record.stack), caller },
    }
}

/// The numbers of a netlink finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetlinkEvidence {
    /// Netlink sockets of this protocol the process has open.
    pub open: u64,
    /// Those of them that were open before the agent started.
    pub seeded: u64,
    /// Network namespaces those sockets are in; one socket a namespace is no leak.
    pub netns_count: u64,
    /// Name of the netlink protocol.
    pub protocol: String,
    /// Sockets opened since the agent first saw the process.
    pub opened_total: u64,
    /// Age of the oldest socket (s); at least, when some are older than the agent.
    pub oldest_seconds: u64,
    /// Buckets of the history in which the number rose.
    pub rising_buckets: u64,
    /// Buckets there are.
    pub buckets: u64,
    /// Length of a bucket (s).
    pub bucket_seconds: u64,
    /// Growth over the history, by least squares (sockets an hour).
    pub growth_per_hour: i64,
    /// How much of the ups and downs that line explains (percent).
    pub confidence_percent: u64,
    /// Fds of every kind the process had at the last look; absent when nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fds: Option<u64>,
    /// Its soft `RLIMIT_NOFILE`; absent when unknown or unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fd_limit: Option<u64>,
    /// Time until these sockets have brought it to 80 % of that limit (s); absent when they do not
    /// keep rising.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_limit: Option<u64>,
    /// Where in the program most of the open sockets were made, at most three, most first.
    pub birthplaces: Vec<Birthplace>,
}

impl NetlinkEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let growth = match self.growth_per_hour {
            rate @ 1.. => format!(", growing by {rate} an hour"),
            _ => String::new(),
        };
        let left = match (self.seconds_to_limit, self.fd_limit) {
            (Some(left), Some(limit)) => {
                format!(", 80 % of its limit of {limit} fds in {}", duration_label(left))
            }
            _ => String::new(),
        };
        let age = match self.seeded {
            0 => format!("the oldest is {} s old", self.oldest_seconds),
            seeded if seeded == self.open => "all were open before the agent started".into(),
            seeded => format!("{seeded} of them were open before the agent started"),
        };
        let made = self.birthplaces.iter().find(|place| !place.frames.is_empty());
        let made = made.map_or(String::new(), |place| {
            let frame = place.frames.first().map_or("", String::as_str);
            format!("; {} of them were made in {frame}", place.open)
        });
        format!(
            "{} holds {} {} sockets open{growth}{left}; {age}{made}",
            subject.process_label(),
            self.open,
            self.protocol
        )
    }
}

/// The protocol as include/uapi/linux/netlink.h names it.
fn protocol_name(protocol: u32) -> String {
    let name = match protocol {
        0 => "NETLINK_ROUTE",
        2 => "NETLINK_USERSOCK",
        4 => "NETLINK_SOCK_DIAG",
        6 => "NETLINK_XFRM",
        7 => "NETLINK_SELINUX",
        9 => "NETLINK_AUDIT",
        12 => "NETLINK_NETFILTER",
        15 => "NETLINK_KOBJECT_UEVENT",
        16 => "NETLINK_GENERIC",
        21 => "NETLINK_CRYPTO",
        _ => return format!("netlink protocol {protocol}"),
    };
    name.into()
}

#[cfg(test)]
mod tests;
