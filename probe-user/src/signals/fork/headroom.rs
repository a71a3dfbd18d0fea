//! How far cgroups and the node are from the limits on their tasks, and when they get there.

use serde::Serialize;

use super::{
    rules::HEADROOM,
    trend::{Confidence, Samples},
};
use crate::{
    config::fork::ForkConfig,
    enrich::subject::Subject,
    event::{BootNs, CgroupTasks, Context, Fact, NodeTasks},
    findings::{Condition, Evidence, Severity, Who},
    signals::bounded::{Aged, Bounded},
};

/// Limits watched at once: as many as a poller's look tells of, and the node's.
const MOST_LIMITS: usize = 4_097;
/// Keys of the node's limits: no cgroup has such an id.
const NODE_THREADS: u64 = 0;
const NODE_PIDS: u64 = u64::MAX;
/// How far below its threshold a severity that was raised must fall to end (percent of the limit).
const CLEAR_BELOW: u64 = 5;

/// A limit on tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// `pids.max` of a cgroup.
    #[default]
    PidsMax,
    /// `kernel.threads-max`.
    ThreadsMax,
    /// `kernel.pid_max`. Up to 300 pids less can be had, as those below that are given out once.
    PidMax,
}

/// The numbers of a headroom finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeadroomEvidence {
    pub kind: LimitKind,
    /// Id of the cgroup that has the limit; absent for a limit of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u64>,
    /// Tasks counted against the limit.
    pub current: u64,
    pub limit: u64,
    /// Used part of the limit (percent, rounded down).
    pub used_percent: u64,
    /// Growth in a minute, by the line through the latest samples; absent while they are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slope_per_minute: Option<i64>,
    /// Time until the limit at that growth (s); absent when it does not grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// How far slope and time left can be trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
}

impl HeadroomEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let (who, limit) = match self.kind {
            LimitKind::PidsMax => (subject.cgroup_label(), "its pids.max"),
            LimitKind::ThreadsMax => ("the node".into(), "kernel.threads-max"),
            LimitKind::PidMax => ("the node".into(), "kernel.pid_max"),
        };
        let Self { current, limit: most, used_percent, .. } = self;
        let mut text = format!(
            "{who} has {current} of the {most} tasks that {limit} allows ({used_percent} %)"
        );
        if let (Some(left), Some(slope)) = (self.seconds_left, self.slope_per_minute)
            && self.confidence >= Some(Confidence::Medium)
        {
            text += &format!("; {slope} more a minute: full in about {left} s");
        }
        text
    }
}

/// What is known of one limit.
struct Watched {
    latest: BootNs,
    kind: LimitKind,
    current: u64,
    limit: u64,
    /// A small limit of a group that nothing else shares.
    own_affair: bool,
    samples: Samples,
    who: Who,
    raised: Option<Severity>,
}

impl Aged for Watched {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

/// The part of the fork detector that looks ahead.
pub(super) struct Headroom {
    /// By the cgroup's id, or one of the node's keys.
    limits: Bounded<u64, Watched>,
    unvisited: u64,
    /// When a poller last could not look: what holds went on holding for all that is known.
    blind_at: BootNs,
}

impl Headroom {
    pub(super) fn new() -> Self {
        Self { limits: Bounded::new(MOST_LIMITS), unvisited: 0, blind_at: 0 }
    }

    /// Takes what a poller saw at `at`; what began or got worse goes to `out`.
    pub(super) fn take(
        &mut self,
        at: BootNs,
        fact: &Fact,
        config: &ForkConfig,
        out: &mut Vec<Condition>,
    ) {
        match fact {
            Fact::NodeTasks(tasks) => {
                let (key, kind, limit) = lowest(tasks);
                let who = Who { context: Context { at, ..Context::default() }, ..Who::default() };
                let watched = self.watched(key, who);
                watched.sample(at, kind, tasks.current, limit);
                out.extend(watched.raise(key, at, config));
            }
            Fact::CgroupTasks(seen) => {
                self.unvisited += seen.unvisited;
                for tasks in &seen.cgroups {
                    out.extend(self.cgroup(at, tasks, config));
                }
            }
            Fact::Blind(_) => self.blind_at = at,
            Fact::ProcessFds(_)
            | Fact::FdRound(_)
            | Fact::RtnlWaiting(_)
            | Fact::Gap(_)
            | Fact::HeldSockets(_) => {}
        }
    }

    fn cgroup(
        &mut self,
        at: BootNs,
        tasks: &CgroupTasks,
        config: &ForkConfig,
    ) -> Option<Condition> {
        let CgroupTasks { id, current, limit, height } = *tasks;
        if limit < config.headroom_least_limit as u64 {
            return None;
        }
        let context = Context { at, cgroup: Some(id), ..Context::default() };
        let who = Who { context, limit_owner: Some(id), ..Who::default() };
        let watched = self.watched(id, who);
        watched.own_affair = height <= 1 && limit <= config.small_limit as u64;
        watched.sample(at, LimitKind::PidsMax, current, limit);
        watched.raise(id, at, config)
    }

    fn watched(&mut self, key: u64, who: Who) -> &mut Watched {
        self.limits.entry(key, || Watched {
            latest: 0,
            kind: LimitKind::default(),
            current: 0,
            limit: 0,
            own_affair: false,
            samples: Samples::default(),
            who,
            raised: None,
        })
    }

    /// Tells what holds at `now`, and forgets what has not been seen for a few looks.
    pub(super) fn tick(&mut self, now: BootNs, config: &ForkConfig, out: &mut Vec<Condition>) {
        let keep = config.poll.ns().saturating_mul(3);
        self.limits.retain(|key, watched| {
            let known = now.saturating_sub(watched.latest.max(self.blind_at)) <= keep;
            if known && let Some(severity) = watched.raised {
                out.push(watched.condition(*key, severity, now, config));
            }
            known
        });
    }

    pub(super) fn tracked(&self) -> usize {
        self.limits.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.limits.evicted().saturating_add(self.unvisited)
    }
}

/// The limit of the node that is reached first, with its key.
fn lowest(tasks: &NodeTasks) -> (u64, LimitKind, u64) {
    if tasks.pid_max < tasks.threads_max {
        (NODE_PIDS, LimitKind::PidMax, tasks.pid_max)
    } else {
        (NODE_THREADS, LimitKind::ThreadsMax, tasks.threads_max)
    }
}

impl Watched {
    fn sample(&mut self, at: BootNs, kind: LimitKind, current: u64, limit: u64) {
        if (kind, limit) != (self.kind, self.limit) {
            // Another limit is another story.
            self.samples = Samples::default();
            self.raised = None;
        }
        self.samples.push(at, current);
        (self.latest, self.kind, self.current, self.limit) = (at, kind, current, limit);
    }

    /// Judges anew; a condition when it is worse than before.
    fn raise(&mut self, key: u64, at: BootNs, config: &ForkConfig) -> Option<Condition> {
        let before = self.raised;
        self.raised = self.judge(config);
        let worse = self.raised.filter(|now| Some(*now) > before);
        worse.map(|severity| self.condition(key, severity, at, config))
    }

    fn judge(&self, config: &ForkConfig) -> Option<Severity> {
        let evidence = self.evidence();
        let reached = |percent: usize, severity| {
            let clear = if self.raised >= Some(severity) { CLEAR_BELOW } else { 0 };
            evidence.used_percent + clear >= percent as u64
        };
        let severity = if reached(config.headroom_critical_percent, Severity::Critical)
            || runs_out_soon(&evidence, config)
        {
            Severity::Critical
        } else if reached(config.headroom_warn_percent, Severity::Warning) {
            Severity::Warning
        } else if self.raised == Some(Severity::Info)
            && reached(config.headroom_warn_percent, Severity::Info)
        {
            Severity::Info
        } else {
            return None;
        };
        Some(if self.own_affair { Severity::Info } else { severity })
    }

    fn evidence(&self) -> HeadroomEvidence {
        let Self { kind, current, limit, .. } = *self;
        let trend = self.samples.trend();
        HeadroomEvidence {
            kind,
            owner: self.who.limit_owner,
            current,
            limit,
            used_percent: current.saturating_mul(100).checked_div(limit).unwrap_or(100),
            slope_per_minute: trend.map(|trend| trend.per_minute()),
            seconds_left: trend.and_then(|trend| trend.seconds_to(limit.saturating_sub(current))),
            confidence: trend.map(|trend| trend.confidence),
        }
    }

    fn condition(
        &self,
        key: u64,
        severity: Severity,
        at: BootNs,
        config: &ForkConfig,
    ) -> Condition {
        Condition {
            rule: &HEADROOM,
            key,
            severity,
            at,
            hold: config.hold.ns(),
            who: self.who.clone(),
            evidence: Evidence::ForkHeadroom(self.evidence()),
        }
    }
}

/// Whether it fills steadily, has filled a good part already, and is full soon.
fn runs_out_soon(evidence: &HeadroomEvidence, config: &ForkConfig) -> bool {
    evidence.used_percent >= config.headroom_growth_percent as u64
        && evidence.confidence >= Some(Confidence::Medium)
        && evidence
            .seconds_left
            .is_some_and(|left| left.saturating_mul(1_000_000_000) < config.headroom_left.ns())
}

#[cfg(test)]
mod tests;
