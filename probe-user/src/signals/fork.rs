//! fork: clones the kernel refuses for want of something, counted per cgroup.

use std::collections::BTreeMap;

use probe_common::{
    fork::ForkRecord,
    wire::{Header, flag, kind, signal},
};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::{Detector, Signal, window::Window};
use crate::{
    config::fork::ForkConfig,
    decode::{self, DecodeError},
    enrich::subject::Subject,
    errno,
    event::{Body, BootNs, Event},
    findings::{Condition, Evidence, Rule, Severity, Who},
    probe::hook::{Attachment, Hook, Rung, Step, Target},
};

pub static SIGNAL: Signal = Signal {
    wire: signal::FORK,
    name: "fork",
    hooks: &[HOOK],
    kinds: &[(kind::FORK_FAILED, "failed")],
    rules: &[&FAILURES],
    decode: decode_record,
    detector: |config| Box::new(ForkDetector::new(&config.fork)),
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

static FAILURES: Rule = Rule {
    name: "fork-failures",
    signal: "fork",
    advice: "Compare pids.current with pids.max in this cgroup and each one above it; raise the \
             limit or stop what fills it. If all have room, look at `ulimit -u`, \
             kernel.threads-max and kernel.pid_max.",
};

/// A clone the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForkFailure {
    /// Positive errno.
    pub errno: i32,
    /// Clone flags without the exit signal; `None` where the rung cannot see them.
    pub flags: Option<u64>,
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    let record: ForkRecord = decode::read(header.kind, bytes)?;
    let flags = (header.flags & flag::CLONE_FLAGS_UNKNOWN == 0).then_some(record.clone_flags);
    Ok(Body::Fork(ForkFailure { errno: record.ret.saturating_neg(), flags }))
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
    /// Name of the latest errno.
    pub errno: &'static str,
    /// Whether the last one was refused to a node daemon.
    pub node_daemon: bool,
    /// Refused clones by the name of the thread that tried; the first eight names.
    pub victims: BTreeMap<String, u64>,
}

impl ForkEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let limit = match &subject.pids_limit {
            Some(limit) => format!(
                "; {} has {} of {} tasks (inferred cause)",
                limit.path, limit.current, limit.max
            ),
            None => String::new(),
        };
        format!(
            "{} cannot fork in {}: {} refused with {} in {} s{limit}",
            subject.process_label(),
            subject.cgroup_label(),
            if self.failures == 1 {
                "a clone was".into()
            } else {
                format!("{} clones were", self.failures)
            },
            self.errno,
            self.window_seconds,
        )
    }
}

/// Cgroups with failures remembered at once.
const MOST_CGROUPS: usize = 4_096;
/// Names of victims kept a cgroup.
const MOST_VICTIMS: usize = 8;

struct Cgroup {
    failures: Window,
    total: u64,
    latest: BootNs,
    victims: BTreeMap<String, u64>,
    who: Who,
    errno: i32,
    node_daemon: bool,
    severity: Option<Severity>,
}

struct ForkDetector {
    window: u64,
    hold: u64,
    threshold: usize,
    daemons: Vec<Vec<u8>>,
    cgroups: FxHashMap<u64, Cgroup>,
    evicted: u64,
}

impl ForkDetector {
    fn new(config: &ForkConfig) -> Self {
        Self {
            window: config.window.ns(),
            hold: config.hold.ns(),
            threshold: config.failures,
            daemons: config.critical_comms.iter().map(|comm| truncate(comm)).collect(),
            cgroups: FxHashMap::default(),
            evicted: 0,
        }
    }

    fn make_room(&mut self) {
        if self.cgroups.len() < MOST_CGROUPS {
            return;
        }
        let stalest = self.cgroups.iter().min_by_key(|(_, cgroup)| cgroup.latest);
        if let Some(id) = stalest.map(|(id, _)| *id) {
            self.cgroups.remove(&id);
            self.evicted += 1;
        }
    }
}

/// The kernel keeps 15 bytes of a name.
fn truncate(comm: &str) -> Vec<u8> {
    comm.bytes().take(probe_common::wire::COMM_LEN - 1).collect()
}

impl Cgroup {
    fn severity(&self, now: BootNs, window: u64, threshold: usize) -> Option<Severity> {
        let failures = self.failures.count(now, window);
        if self.node_daemon && failures > 0 {
            Some(Severity::Critical)
        } else {
            (failures >= threshold).then_some(Severity::Warning)
        }
    }

    fn condition(
        &self,
        key: u64,
        severity: Severity,
        now: BootNs,
        window: u64,
        hold: u64,
    ) -> Condition {
        Condition {
            rule: &FAILURES,
            key,
            severity,
            at: now,
            hold,
            who: self.who.clone(),
            evidence: Evidence::Fork(ForkEvidence {
                failures: self.failures.count(now, window) as u64,
                failures_total: self.total,
                window_seconds: window / 1_000_000_000,
                errno: errno::name(self.errno),
                node_daemon: self.node_daemon,
                victims: self.victims.clone(),
            }),
        }
    }
}

impl Detector for ForkDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        let Body::Fork(failure) = &event.body else { return };
        // Other errnos are a caller's mistake (EINVAL) or a policy (EPERM), not exhaustion.
        if !matches!(failure.errno, libc::EAGAIN | libc::ENOMEM) {
            return;
        }
        let key = event.context.cgroup.unwrap_or(0);
        if !self.cgroups.contains_key(&key) {
            self.make_room();
        }
        let threshold = self.threshold;
        let cgroup = self.cgroups.entry(key).or_insert_with(|| Cgroup {
            failures: Window::new(threshold.saturating_mul(10)),
            total: 0,
            latest: 0,
            victims: BTreeMap::new(),
            who: Who::default(),
            errno: 0,
            node_daemon: false,
            severity: None,
        });
        let now = event.context.at;
        cgroup.failures.push(now);
        cgroup.total += 1;
        cgroup.latest = cgroup.latest.max(now);
        let daemon = self.daemons.iter().any(|comm| comm == event.context.comm.bytes());
        if daemon || !cgroup.node_daemon {
            cgroup.who.context = event.context;
            cgroup.errno = failure.errno;
            cgroup.node_daemon = daemon;
        }
        let victim = event.context.comm.text().unwrap_or_default();
        if cgroup.victims.len() < MOST_VICTIMS || cgroup.victims.contains_key(&victim) {
            *cgroup.victims.entry(victim).or_default() += 1;
        }
        // Only a change is worth a condition here; the tick renews it.
        let severity = cgroup.severity(now, self.window, threshold);
        if severity > cgroup.severity {
            cgroup.severity = severity;
            out.extend(severity.map(|s| cgroup.condition(key, s, now, self.window, self.hold)));
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        let (window, hold, threshold) = (self.window, self.hold, self.threshold);
        self.cgroups.retain(|key, cgroup| {
            cgroup.severity = cgroup.severity(now, window, threshold);
            if cgroup.severity.is_none() {
                cgroup.node_daemon = false;
            }
            out.extend(cgroup.severity.map(|s| cgroup.condition(*key, s, now, window, hold)));
            now.saturating_sub(cgroup.latest) <= window.max(hold)
        });
    }

    fn tracked(&self) -> usize {
        self.cgroups.len()
    }

    fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests;
