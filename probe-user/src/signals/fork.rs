//! fork: clones the kernel refuses for want of something, counted per cgroup.

use std::collections::BTreeMap;

use probe_common::{
    fork::{ForkRecord, cause},
    wire::{Header, flag, kind, signal},
};
use serde::Serialize;

use super::Signal;
use crate::{
    decode::{self, DecodeError},
    enrich::subject::Subject,
    event::Body,
    probe::hook::{Attachment, Hook, Rung, Step, Target},
};

mod detect;
mod rules;

use rules::FAILURES;

pub static SIGNAL: Signal = Signal {
    wire: signal::FORK,
    name: "fork",
    hooks: &[HOOK],
    kinds: &[(kind::FORK_FAILED, "failed")],
    rules: &[&FAILURES],
    decode: decode_record,
    detector: |config| Box::new(detect::ForkDetector::new(&config.fork)),
};

const HOOK: Hook = Hook {
    name: "clone",
    sees: "clones that fail",
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[Attachment::new("fork_fexit", Target::Fexit("kernel_clone"))],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[Attachment::new("fork_kretprobe", Target::Kretprobe("kernel_clone"))],
            misses: "the clone flags",
        },
        Step {
            rung: Rung::Tracepoint,
            programs: &[
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_clone")),
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_clone3")),
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_fork")),
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_vfork")),
            ],
            misses: "the clone flags, and clones the kernel itself does; every syscall of the node \
                     takes the traced path",
        },
    ],
};

/// A clone the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkFailure {
    /// Positive errno.
    pub errno: i32,
    /// Clone flags without the exit signal; `None` where the rung cannot see them.
    pub flags: Option<u64>,
    pub cause: Cause,
}

/// Which limit stopped a clone, read from the kernel when it returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// `pids.max` of a cgroup: the task's own or one above it.
    PidsMax {
        /// Id of the cgroup that has the limit.
        owner: u64,
        /// Steps up to it from the task's own cgroup.
        owner_steps: u32,
        /// Tasks in it.
        current: u64,
        limit: u64,
    },
    /// `RLIMIT_NPROC` of a user (getrlimit(2)).
    RlimitNproc {
        /// In the initial user namespace.
        uid: u32,
        /// Tasks of the user.
        current: u64,
        limit: u64,
    },
    /// `kernel.pid_max` of a pid namespace (6.14 and later have one each).
    PidMax {
        /// Pids in use in the namespace.
        current: u64,
        limit: u64,
    },
    /// The init of the pid namespace is gone (pid_namespaces(7)).
    PidNamespaceDying,
    /// The kernel found no memory.
    Memory,
    /// None of the limits the probe can read was reached.
    #[default]
    Unresolved,
}

impl Cause {
    fn of(record: &ForkRecord) -> Self {
        let ForkRecord { owner, owner_steps, current, limit, uid, .. } = *record;
        match record.cause {
            cause::PIDS_MAX => Self::PidsMax { owner, owner_steps, current, limit },
            cause::RLIMIT_NPROC => Self::RlimitNproc { uid, current, limit },
            cause::PID_MAX => Self::PidMax { current, limit },
            cause::PID_NS_DYING => Self::PidNamespaceDying,
            cause::MEMORY => Self::Memory,
            _ => Self::Unresolved,
        }
    }

    fn sentence(&self, subject: &Subject) -> String {
        match self {
            Self::PidsMax { owner, current, limit, .. } => {
                let known = subject.limit_owner.as_ref().and_then(|owner| owner.path.clone());
                let owner = known.unwrap_or_else(|| format!("cgroup {owner}"));
                format!("pids.max of {owner} is reached ({current} of {limit} tasks)")
            }
            Self::RlimitNproc { uid, current, limit } => {
                format!("user {uid} is at RLIMIT_NPROC ({current} of {limit} tasks)")
            }
            Self::PidMax { current, limit } => {
                format!("its pid namespace is at kernel.pid_max ({current} of {limit} pids)")
            }
            Self::PidNamespaceDying => "the init of its pid namespace is gone".into(),
            Self::Memory => "the kernel found no memory".into(),
            Self::Unresolved => match &subject.node_limit {
                Some(node) => format!(
                    "the node is at {} ({} of {}), by the look of it",
                    node.name, node.current, node.limit
                ),
                None => "the cause is not known".into(),
            },
        }
    }
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    let record: ForkRecord = decode::read(header.kind, bytes)?;
    let flags = (header.flags & flag::CLONE_FLAGS_UNKNOWN == 0).then_some(record.clone_flags);
    let (errno, cause) = (record.ret.saturating_neg(), Cause::of(&record));
    Ok(Body::Fork(ForkFailure { errno, flags, cause }))
}

/// The numbers of a fork finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForkEvidence {
    /// Refused clones in the window, up to ten times the threshold. Libraries retry (vfork, then
    /// clone), so this is more than the number of forks somebody wanted.
    pub failures: u64,
    /// Refused clones of this cgroup since the agent first saw one.
    pub failures_total: u64,
    /// Length of the window (s).
    pub window_seconds: u64,
    /// Name of the errno.
    pub errno: &'static str,
    /// Which limit stopped the first one of the episode whose limit could be told.
    pub cause: Cause,
    /// Whether one of those refused was a node daemon.
    pub node_daemon: bool,
    /// Refused clones by the name of the thread that tried; the first eight names.
    pub victims: BTreeMap<String, u64>,
}

impl ForkEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        format!(
            "{} cannot fork in {}: {} refused with {} in {} s; {}",
            subject.process_label(),
            subject.cgroup_label(),
            if self.failures == 1 {
                "a clone was".into()
            } else {
                format!("{} clones were", self.failures)
            },
            self.errno,
            self.window_seconds,
            self.cause.sentence(subject),
        )
    }
}

#[cfg(test)]
mod tests;
