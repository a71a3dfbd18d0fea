//! Which limit stopped a clone.

use probe_common::fork::{ForkRecord, cause};
use serde::Serialize;

use crate::enrich::subject::Subject;

/// Which limit stopped a clone, read from the kernel when it returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// `pids.max` of a cgroup: the one the child was to be born in, or one above it.
    PidsMax {
        /// Id of the cgroup that has the limit.
        owner: u64,
        /// Steps up to it from the cgroup the child was to be born in.
        owner_steps: u32,
        /// Tasks in it.
        current: u64,
        limit: u64,
        /// The rung does not see whether the caller named another cgroup (`CLONE_INTO_CGROUP`): its
        /// own was judged. Absent when it is known.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        owner_assumed: bool,
    },
    /// `RLIMIT_NPROC` of a user (getrlimit(2)).
    RlimitNproc {
        /// In the initial user namespace.
        uid: u32,
        /// Tasks of the user.
        current: u64,
        limit: u64,
    },
    /// `kernel.threads-max` of the node.
    ThreadsMax {
        /// Tasks on the node.
        current: u64,
        limit: u64,
    },
    /// `kernel.pid_max` of a pid namespace (6.14 and later have one each).
    PidMax {
        /// Inode number of the namespace.
        namespace: u64,
        /// Its nesting; 0 is the node's own.
        level: u32,
        /// Pids in use in the namespace.
        current: u64,
        limit: u64,
    },
    /// The init of the pid namespace is gone (pid_namespaces(7)).
    PidNamespaceDying,
    /// The kernel found no memory, or the memory cgroup has none left for it.
    Memory,
    /// None of the limits the probe can read was reached.
    #[default]
    Unresolved,
}

impl Cause {
    /// What the record says; `flags_known` when its rung sees the clone flags.
    pub(super) fn of(record: &ForkRecord, flags_known: bool) -> Self {
        let ForkRecord { owner, owner_steps, current, limit, uid, level, .. } = *record;
        match record.cause {
            cause::PIDS_MAX => {
                Self::PidsMax { owner, owner_steps, current, limit, owner_assumed: !flags_known }
            }
            cause::RLIMIT_NPROC => Self::RlimitNproc { uid, current, limit },
            cause::THREADS_MAX => Self::ThreadsMax { current, limit },
            cause::PID_MAX => Self::PidMax { namespace: owner, level, current, limit },
            cause::PID_NS_DYING => Self::PidNamespaceDying,
            cause::MEMORY => Self::Memory,
            _ => Self::Unresolved,
        }
    }

    /// Whether it is a limit of the whole node.
    #[must_use]
    pub fn is_of_node(&self) -> bool {
        matches!(self, Self::ThreadsMax { .. } | Self::PidMax { level: 0, .. })
    }

    /// The cause in a sentence.
    pub(super) fn sentence(&self, subject: &Subject) -> String {
        match self {
            Self::PidsMax { owner, current, limit, .. } => {
                let known = subject.limit_owner.as_ref().and_then(|owner| owner.path.clone());
                let owner = known.unwrap_or_else(|| format!("cgroup {owner}"));
                format!("pids.max of {owner} is reached ({current} of {limit} tasks)")
            }
            Self::RlimitNproc { uid, current, limit } => {
                format!("user {uid} is at RLIMIT_NPROC ({current} of {limit} tasks)")
            }
            Self::ThreadsMax { current, limit } => {
                format!("the node is at kernel.threads-max ({current} of {limit} tasks)")
            }
            Self::PidMax { level: 0, current, limit, .. } => {
                format!("the node is at kernel.pid_max ({current} of {limit} pids)")
            }
            Self::PidMax { current, limit, .. } => {
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
