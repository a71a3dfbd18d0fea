//! fork: clones the kernel refuses for want of something, counted per cgroup, and how
//! far the node and its cgroups are from that.

use probe_common::{
    fork::{CLONE_INTO_CGROUP, ForkRecord},
    wire::{Header, flag, kind, signal},
};
use serde::Serialize;

use super::Signal;
use crate::{
    decode::{self, DecodeError},
    event::Body,
    findings::Condition,
    probe::{
        hook::{Attachment, Hook, Rung, Step, Target},
        reads,
    },
};

mod cause;
mod detect;
mod evidence;
pub mod headroom;
mod rules;
mod trend;

pub use cause::Cause;
pub use evidence::ForkEvidence;
use rules::{FAILURES, HEADROOM};

pub static SIGNAL: Signal = Signal {
    wire: signal::FORK,
    name: "fork",
    hooks: &[HOOK],
    kinds: &[(kind::FORK_FAILED, "failed"), (kind::FORK_REJECTED, "rejected")],
    rules: &[&FAILURES, &HEADROOM],
    decode: decode_record,
    detector: |config| Box::new(detect::ForkDetector::new(&config.fork)),
};

const HOOK: Hook = Hook {
    name: "clone",
    sees: "clones that fail",
    reads: &[
        &reads::CGROUP_V1,
        &reads::NETNS_OF_TASK,
        &reads::NPROC,
        &reads::PID_NAMESPACES,
        &reads::PIDS_MAX,
        &reads::INTO_CGROUP,
    ],
    unread: Some(
        "which limit stopped a clone (only its errno), the clone flags, the network namespace, and on \
         a host with cgroup v1 the cgroup",
    ),
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[Attachment::new("fork_fexit", Target::Fexit("kernel_clone"))],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[Attachment::new("fork_kretprobe", Target::Kretprobe("kernel_clone"))],
            misses: "the clone flags, and which cgroup a clone3 with CLONE_INTO_CGROUP names (the \
                     caller's is judged)",
        },
        Step {
            rung: Rung::Tracepoint,
            programs: &[
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_clone")),
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_clone3")),
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_fork")),
                Attachment::new("fork_sys_exit", Target::Tracepoint("syscalls", "sys_exit_vfork")),
            ],
            misses: "the clone flags, which cgroup a clone3 with CLONE_INTO_CGROUP names (the \
                     caller's is judged), and clones the kernel itself does; every syscall of the node \
                     takes the traced path",
        },
    ],
};

/// A clone the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ForkFailure {
    /// Positive errno.
    pub errno: i32,
    /// Clone flags without the exit signal; `None` where the rung cannot see them.
    pub flags: Option<u64>,
    pub cause: Cause,
}

impl ForkFailure {
    /// Whether the child was to be born in a cgroup that the caller named (clone3(2)), as systemd
    /// and runc do. The event's cgroup is that one.
    #[must_use]
    pub fn is_into_cgroup(&self) -> bool {
        self.flags.is_some_and(|flags| flags & CLONE_INTO_CGROUP != 0)
    }
}

/// Whether a condition is about clones that are refused now for want of something.
#[must_use]
pub fn is_refusal(condition: &Condition) -> bool {
    std::ptr::eq(condition.rule, &FAILURES)
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    let record: ForkRecord = decode::read(header.kind, bytes)?;
    let flags = (header.flags & flag::CLONE_FLAGS_UNKNOWN == 0).then_some(record.clone_flags);
    let cause = Cause::of(&record, flags.is_some());
    Ok(Body::Fork(ForkFailure { errno: record.ret.saturating_neg(), flags, cause }))
}

#[cfg(test)]
mod tests;
