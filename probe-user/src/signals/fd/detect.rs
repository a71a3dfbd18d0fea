//! Open fds and their growth, per process and for the node.

use super::{
    FdEvidence, Scope,
    history::History,
    rules::{EXHAUSTED, LEAK},
};
use crate::{
    config::{Config, fd::FdConfig},
    event::{Body, BootNs, Context, Event, Fact, FdRound, NodeFiles, ProcessFds},
    findings::{Condition, Evidence, Rule, Severity, Who},
    signals::{
        Detector,
        bounded::Bounded,
        trend::{self, SOON, most_of},
    },
};

/// Processes with a history at once; the one that was not heard of for longest makes room.
const MOST_PROCESSES: usize = 4_096;
/// Open fds from which on a process has a history.
const NOTEWORTHY: u64 = 64;
/// A limit below this is a sandbox's: nothing more is to be opened.
const LEAST_LIMIT: u64 = 64;
/// How well a line must fit the history to be a leak (percent, R²).
const LINE: u64 = 75;
/// Rounds after which a process that nobody tells of is forgotten,
const ROUNDS: u64 = 3;
/// and the time that looking may take besides (ns).
const SLACK: u64 = 30_000_000_000;

/// A process: its id and its start. The node is `(0, 0)`.
type Holder = (u32, u64);
const NODE: Holder = (0, 0);

/// The detector of the fd signal.
pub struct FdDetector {
    config: FdConfig,
    holders: Bounded<Holder, History>,
    left_out: u64,
    /// When a poller last could not look: what holds went on holding for all that is known.
    blind_at: BootNs,
}

impl FdDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &FdConfig) -> Self {
        Self {
            config: config.clone(),
            holders: Bounded::new(MOST_PROCESSES),
            left_out: 0,
            blind_at: 0,
        }
    }

    fn process(&mut self, context: Context, fds: &ProcessFds, out: &mut Vec<Condition>) {
        let holder = (context.pid, fds.start);
        if fds.open < NOTEWORTHY && self.holders.get_mut(&holder).is_none() {
            return;
        }
        let history = self.holders.entry(holder, History::default);
        history.note(context, fds.open, fds.limit, self.config.buckets);
        if let Some(kinds) = &fds.kinds {
            history.note_kinds(kinds.clone());
        }
        judge(&self.config, holder, history, context.at, out);
    }

    fn round(&mut self, at: BootNs, round: &FdRound, out: &mut Vec<Condition>) {
        self.left_out += round.left_out + round.not_told_apart;
        if let Some(NodeFiles { allocated, max }) = round.files {
            let history = self.holders.entry(NODE, History::default);
            let context = Context { at, ..Context::default() };
            history.note(context, allocated, Some(max), self.config.buckets);
            judge(&self.config, NODE, history, at, out);
        }
        // A round that looked at all processes tells of all that still matter.
        if round.left_out == 0 {
            self.holders.retain(|_, history| history.who.at == at);
        }
    }
}

impl Detector for FdDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        match &event.body {
            Body::Polled(Fact::ProcessFds(fds)) => self.process(event.context, fds, out),
            Body::Polled(Fact::FdRound(round)) => self.round(event.context.at, round, out),
            Body::Polled(Fact::Blind(_)) => self.blind_at = event.context.at,
            _ => {}
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        let config = &self.config;
        let patience = config.poll.ns().saturating_mul(ROUNDS).saturating_add(SLACK);
        self.holders.retain(|holder, history| {
            let known = now.saturating_sub(history.who.at.max(self.blind_at)) <= patience;
            if known {
                judge(config, *holder, history, now, out);
            }
            known
        });
    }

    fn reconfigure(&mut self, config: &Config) {
        self.config = config.fd.clone();
    }

    fn tracked(&self) -> usize {
        self.holders.len()
    }

    fn evicted(&self) -> u64 {
        self.holders.evicted() + self.left_out
    }
}

/// Raises what holds for a process or the node.
fn judge(
    config: &FdConfig,
    holder: Holder,
    history: &History,
    at: BootNs,
    out: &mut Vec<Condition>,
) {
    if exhausted(config, holder, history) {
        out.push(condition(config, &EXHAUSTED, holder, history, Severity::Critical, at));
    }
    if let Some(severity) = leak(config, holder, history) {
        out.push(condition(config, &LEAK, holder, history, severity, at));
    }
}

fn exhausted(config: &FdConfig, holder: Holder, history: &History) -> bool {
    let percent = if holder == NODE { config.node_percent } else { config.exhausted_percent };
    let limit = history.limit.filter(|limit| *limit >= LEAST_LIMIT);
    limit.is_some_and(|limit| reaches(history.open, percent as u64, limit))
}

fn leak(config: &FdConfig, holder: Holder, history: &History) -> Option<Severity> {
    let (open, rising) = (history.open, history.rising());
    // The cheap questions first: hardly any process has this many, and few grow all the time.
    let half = history.limit.is_some_and(|limit| reaches(open, 50, limit));
    let many = holder != NODE && open >= config.breakdown_at as u64;
    if !(half || many)
        || history.buckets() < config.buckets
        || !trend::rises(rising, config.buckets, config.rising_percent)
        || history.like_before()
    {
        return None;
    }
    let trend = history.trend();
    if trend.confidence_percent() < LINE {
        return None;
    }
    let left = history.limit.and_then(|limit| trend.seconds_until(open, most_of(limit)));
    if left.is_some_and(|left| left <= SOON) {
        Some(Severity::Critical)
    } else {
        (holder != NODE && open >= config.warn_open as u64).then_some(Severity::Warning)
    }
}

fn reaches(value: u64, percent: u64, limit: u64) -> bool {
    u128::from(value) * 100 >= u128::from(limit) * u128::from(percent)
}

fn condition(
    config: &FdConfig,
    rule: &'static Rule,
    holder: Holder,
    history: &History,
    severity: Severity,
    at: BootNs,
) -> Condition {
    let trend = history.trend();
    let inferred = std::ptr::eq(rule, &EXHAUSTED);
    let left = history.limit.and_then(|limit| trend.seconds_until(history.open, most_of(limit)));
    let scope = if holder == NODE { Scope::Node } else { Scope::Process };
    Condition {
        rule,
        // Unlike for processes of one pid and for pids of one start.
        key: u64::from(holder.0) << 40 ^ holder.1,
        severity,
        at,
        hold: config.hold.ns(),
        who: Who { context: history.who, ..Who::default() },
        evidence: Evidence::Fd(FdEvidence {
            scope,
            open: history.open,
            limit: history.limit,
            growth_per_hour: trend.per_hour(),
            confidence_percent: trend.confidence_percent(),
            seconds_to_80_percent: left,
            rising_buckets: history.rising() as u64,
            buckets: history.buckets() as u64,
            bucket_seconds: config.poll.ns() / 1_000_000_000,
            kinds: history.top_kinds(!inferred),
            kinds_sampled: history.kinds_sampled(),
            inferred,
        }),
    }
}
