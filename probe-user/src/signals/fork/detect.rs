//! The detector: refused clones of each cgroup; what is polled goes to [`Headroom`].

use std::collections::BTreeMap;

use super::{Cause, ForkEvidence, ForkFailure, headroom::Headroom, rules::FAILURES};
use crate::{
    config::{Config, fork::ForkConfig},
    errno,
    event::{Body, BootNs, Event},
    findings::{Condition, Evidence, Severity, Who},
    signals::{
        Detector,
        bounded::{Aged, Bounded},
        window::Window,
    },
};

/// Cgroups with failures remembered at once.
pub const MOST_CGROUPS: usize = 4_096;
/// Names of victims kept a cgroup.
pub const MOST_VICTIMS: usize = 8;

/// What is known of one cgroup.
struct Cgroup {
    failures: Window,
    total: u64,
    latest: BootNs,
    victims: BTreeMap<String, u64>,
    who: Who,
    errno: i32,
    cause: Cause,
    node_daemon: bool,
    into_cgroup: bool,
    raised: Option<Severity>,
}

/// The detector of the fork signal.
pub struct ForkDetector {
    config: ForkConfig,
    /// Names of node daemons, as long as the kernel keeps them.
    daemons: Vec<Vec<u8>>,
    cgroups: Bounded<u64, Cgroup>,
    headroom: Headroom,
}

impl ForkDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &ForkConfig) -> Self {
        Self {
            config: config.clone(),
            daemons: daemons(config),
            cgroups: Bounded::new(MOST_CGROUPS),
            headroom: Headroom::new(),
        }
    }
}

fn daemons(config: &ForkConfig) -> Vec<Vec<u8>> {
    config.critical_comms.iter().map(|comm| truncate(comm)).collect()
}

/// The failures that are told apart.
fn capacity(config: &ForkConfig) -> usize {
    config.failures.saturating_mul(10)
}

/// The kernel keeps 15 bytes of a name.
fn truncate(comm: &str) -> Vec<u8> {
    comm.bytes().take(probe_common::wire::COMM_LEN - 1).collect()
}

/// A pod that hit a small limit of its own hurts nobody else.
fn is_own_affair(cause: &Cause, small_limit: u64) -> bool {
    match *cause {
        Cause::PidsMax { owner_steps, limit, .. } => owner_steps <= 1 && limit <= small_limit,
        _ => false,
    }
}

impl Aged for Cgroup {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Cgroup {
    fn new(config: &ForkConfig) -> Self {
        Self {
            failures: Window::new(capacity(config)),
            total: 0,
            latest: 0,
            victims: BTreeMap::new(),
            who: Who::default(),
            errno: 0,
            cause: Cause::Unresolved,
            node_daemon: false,
            into_cgroup: false,
            raised: None,
        }
    }

    fn note(&mut self, event: &Event, failure: &ForkFailure, daemon: bool) {
        let at = event.context.at;
        let failures = event.count();
        self.failures.push_many(at, failures);
        self.total += failures as u64;
        self.latest = self.latest.max(at);
        // The first of an episode names it, unless a node daemon joins the victims.
        if self.raised.is_none() || (daemon && !self.node_daemon) {
            self.who.context = event.context;
            self.errno = failure.errno;
            self.into_cgroup = failure.is_into_cgroup();
        }
        if self.raised.is_none() || self.cause == Cause::Unresolved {
            self.cause = failure.cause;
            self.who.limit_owner = match failure.cause {
                Cause::PidsMax { owner, .. } => Some(owner),
                _ => None,
            };
        }
        self.node_daemon |= daemon;
        let victim = event.context.comm.text().unwrap_or_default();
        if self.victims.len() < MOST_VICTIMS || self.victims.contains_key(&victim) {
            *self.victims.entry(victim).or_default() += failures as u64;
        }
    }

    fn judge(&self, config: &ForkConfig, now: BootNs) -> Option<Severity> {
        let failures = self.failures.count(now, config.window.ns());
        if self.node_daemon && failures > 0 {
            Some(Severity::Critical)
        } else if failures < config.failures {
            None
        } else if is_own_affair(&self.cause, config.small_limit as u64) {
            Some(Severity::Info)
        } else {
            Some(Severity::Warning)
        }
    }

    fn condition(
        &self,
        key: u64,
        severity: Severity,
        config: &ForkConfig,
        at: BootNs,
    ) -> Condition {
        let window = config.window.ns();
        Condition {
            rule: &FAILURES,
            key,
            severity,
            at,
            hold: config.hold.ns(),
            who: self.who.clone(),
            evidence: Evidence::Fork(ForkEvidence {
                failures: self.failures.count(at, window) as u64,
                failures_total: self.total,
                window_seconds: window / 1_000_000_000,
                errno: errno::name(self.errno),
                cause: self.cause,
                node_daemon: self.node_daemon,
                into_cgroup: self.into_cgroup,
                victims: self.victims.clone(),
            }),
        }
    }
}

impl ForkDetector {
    fn failed(&mut self, event: &Event, failure: &ForkFailure, out: &mut Vec<Condition>) {
        // Other errnos are a caller's mistake (EINVAL) or a policy (EPERM), not exhaustion. The
        // kernel side sends them as a kind of their own, which is how they are counted.
        if !matches!(failure.errno, libc::EAGAIN | libc::ENOMEM) {
            return;
        }
        let key = event.context.cgroup.unwrap_or(0);
        let (config, now) = (&self.config, event.context.at);
        let is_daemon = self.daemons.iter().any(|comm| comm == event.context.comm.bytes());
        // A daemon that starts something in a full pod lacks nothing itself.
        let of_pod =
            failure.is_into_cgroup() && is_own_affair(&failure.cause, config.small_limit as u64);
        let cgroup = self.cgroups.entry(key, || Cgroup::new(config));
        cgroup.note(event, failure, is_daemon && !of_pod);
        // Only a change for the worse is worth a condition here; the tick renews it.
        let severity = cgroup.judge(config, now);
        if severity > cgroup.raised {
            cgroup.raised = severity;
            out.extend(severity.map(|severity| cgroup.condition(key, severity, config, now)));
        }
    }
}

impl Detector for ForkDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        match &event.body {
            Body::Fork(failure) => self.failed(event, failure, out),
            Body::Polled(fact) => self.headroom.take(event.context.at, fact, &self.config, out),
            _ => {}
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        let config = &self.config;
        let keep = config.window.ns().max(config.hold.ns());
        self.cgroups.retain(|key, cgroup| {
            cgroup.raised = cgroup.judge(config, now);
            if cgroup.raised.is_none() {
                cgroup.node_daemon = false;
            }
            out.extend(cgroup.raised.map(|severity| cgroup.condition(*key, severity, config, now)));
            now.abs_diff(cgroup.latest) <= keep
        });
        self.headroom.tick(now, config, out);
    }

    fn reconfigure(&mut self, config: &Config) {
        self.config = config.fork.clone();
        self.daemons = daemons(&self.config);
        let capacity = capacity(&self.config);
        self.cgroups.values_mut().for_each(|cgroup| cgroup.failures.resize(capacity));
    }

    fn tracked(&self) -> usize {
        self.cgroups.len() + self.headroom.tracked()
    }

    fn evicted(&self) -> u64 {
        self.cgroups.evicted().saturating_add(self.headroom.evicted())
    }
}
