//! Net open sockets and their growth, per process and protocol.

use probe_common::wire::signal;
use rustc_hash::FxHashMap;

use super::{
    NetlinkChange, NetlinkEvidence,
    birthplace::Birth,
    protocol_name,
    rules::LEAK,
    sockets::{Holder, Holding, Sockets},
};
use crate::{
    config::{Config, netlink::NetlinkConfig},
    event::{Body, BootNs, Event, Fact, ProcessFds},
    findings::{Condition, Evidence, Severity, Who},
    signals::{
        Detector,
        trend::{self, SOON, Trend, most_of},
    },
};

/// How well a line must fit the history to be projected (percent, R²).
const LINE: u64 = 75;

/// The detector of the netlink signal.
pub struct NetlinkDetector {
    config: NetlinkConfig,
    sockets: Sockets,
    bucket_ends: Option<BootNs>,
    /// Open fds of each process that holds sockets, and its limit.
    fds: FxHashMap<u32, (u64, Option<u64>)>,
    /// Records were lost, and nobody has looked since which sockets there are: some that are counted
    /// may be closed. Nothing is said until then.
    unsure: bool,
}

impl NetlinkDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &NetlinkConfig) -> Self {
        Self {
            config: config.clone(),
            sockets: Sockets::default(),
            bucket_ends: None,
            fds: FxHashMap::default(),
            unsure: false,
        }
    }

    fn severity(&self, holder: Holder, holding: &Holding) -> Option<Severity> {
        let (config, open) = (&self.config, holding.per_netns());
        if open >= config.critical_open {
            return Some(Severity::Critical);
        }
        if open < config.warn_open || !self.keeps_rising(holding) {
            return None;
        }
        let soon = self.seconds_to_limit(holder, holding).is_some_and(|left| left <= SOON);
        Some(if soon { Severity::Critical } else { Severity::Warning })
    }

    fn keeps_rising(&self, holding: &Holding) -> bool {
        // N buckets have N + 1 ends; fewer is too short a history to call it a trend.
        let whole = holding.history.len() > self.config.buckets;
        whole && trend::rises(holding.rising(), self.config.buckets, self.config.rising_percent)
    }

    /// The line through the history of a holder.
    fn trend(&self, holding: &Holding) -> Trend {
        let bucket = self.config.bucket.ns();
        let ends = (0u64..).map(|end| end.saturating_mul(bucket));
        Trend::of(ends.zip(holding.history.iter().map(|open| *open as u64)))
    }

    /// Time until the process has most of the fds it may have, when its sockets keep rising.
    fn seconds_to_limit(&self, holder: Holder, holding: &Holding) -> Option<u64> {
        let (fds, limit) = *self.fds.get(&holder.0)?;
        let trend = self.trend(holding);
        let steady = self.keeps_rising(holding) && trend.confidence_percent() >= LINE;
        // Some of the sockets may be younger than the last look at the fds.
        let fds = fds.max(holding.open as u64);
        steady.then(|| trend.seconds_until(fds, most_of(limit?)))?
    }

    /// Notes the fds of a process that holds sockets.
    fn note_fds(&mut self, pid: u32, fds: &ProcessFds) {
        if self.sockets.holds(pid) {
            self.fds.insert(pid, (fds.open, fds.limit));
        }
    }

    fn condition(
        &self,
        holder: Holder,
        holding: &Holding,
        severity: Severity,
        at: BootNs,
    ) -> Condition {
        let bucket = self.config.bucket.ns();
        let buckets = holding.history.len().saturating_sub(1);
        let trend = self.trend(holding);
        let fds = self.fds.get(&holder.0);
        let oldest = self.sockets.oldest(holder).unwrap_or(at);
        Condition {
            rule: &LEAK,
            key: u64::from(holder.0) << 32 | u64::from(holder.1),
            severity,
            at,
            hold: self.config.hold.ns(),
            who: Who { context: holding.who, ..Who::default() },
            evidence: Evidence::Netlink(NetlinkEvidence {
                open: holding.open as u64,
                seeded: holding.seeded as u64,
                netns_count: holding.netns_count() as u64,
                protocol: protocol_name(holder.1),
                opened_total: holding.opened_total,
                oldest_seconds: at.saturating_sub(oldest) / 1_000_000_000,
                rising_buckets: holding.rising() as u64,
                buckets: buckets as u64,
                bucket_seconds: bucket / 1_000_000_000,
                growth_per_hour: trend.per_hour(),
                confidence_percent: trend.confidence_percent(),
                fds: fds.map(|(open, _)| *open),
                fd_limit: fds.and_then(|(_, limit)| *limit),
                seconds_to_limit: self.seconds_to_limit(holder, holding),
                birthplaces: holding.birthplaces(),
            }),
        }
    }

    /// Ends every bucket that is over; a late tick (suspend, a stopped agent) ends only one, as
    /// nothing is known about the time between.
    fn end_buckets(&mut self, now: BootNs) {
        let bucket = self.config.bucket.ns();
        let ends = *self.bucket_ends.get_or_insert(now.saturating_add(bucket));
        if now >= ends {
            self.sockets.end_bucket(self.config.buckets);
            let missed = (now - ends) / bucket;
            self.bucket_ends = Some(ends.saturating_add((missed + 1).saturating_mul(bucket)));
            self.sockets.forget_others(&mut self.fds);
        }
    }
}

impl Detector for NetlinkDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        let change = match &event.body {
            Body::Netlink(change) => *change,
            Body::Polled(Fact::ProcessFds(fds)) => return self.note_fds(event.context.pid, fds),
            Body::Polled(Fact::Gap(gap)) => {
                self.unsure |= gap.signal == signal::NETLINK;
                return;
            }
            Body::Polled(Fact::HeldSockets(held)) => {
                self.sockets.close_gone(event.context.at, |id, pid| held.is_gone(id, pid));
                self.unsure = false;
                return;
            }
            _ => return,
        };
        match change {
            NetlinkChange::Opened { socket, protocol, birth } => {
                let holder = self.sockets.open(socket, protocol, birth, &event.context);
                let Some((holder, holding)) =
                    holder.and_then(|holder| Some((holder, self.sockets.holding(holder)?)))
                else {
                    return;
                };
                // The one that crosses the line speaks at once; the tick does the rest.
                if !self.unsure && holding.per_netns() == self.config.critical_open {
                    let at = event.context.at;
                    out.push(self.condition(holder, holding, Severity::Critical, at));
                }
            }
            // Many come at once: the tick after the last one judges their sum.
            NetlinkChange::Seeded { socket, protocol } => {
                let birth = if self.unsure { Birth::Unseen } else { Birth::Older };
                if !self.sockets.knows(socket) {
                    self.sockets.open(socket, protocol, birth, &event.context);
                }
            }
            NetlinkChange::Closed { socket } => self.sockets.close(socket),
            NetlinkChange::Churned { protocol } => {
                let sockets = event.count().div_ceil(2);
                self.sockets.passed((event.context.pid, protocol), sockets as u64);
            }
            NetlinkChange::OwnerExited => self.sockets.forget(event.context.pid),
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        if self.unsure {
            return;
        }
        self.end_buckets(now);
        for (holder, holding) in self.sockets.holders() {
            if let Some(severity) = self.severity(holder, holding) {
                out.push(self.condition(holder, holding, severity, now));
            }
        }
    }

    fn reconfigure(&mut self, config: &Config) {
        if config.netlink.bucket != self.config.bucket {
            // Numbers of other times apart make no line with what comes.
            self.bucket_ends = None;
            self.sockets.forget_histories();
        }
        self.config = config.netlink.clone();
    }

    fn tracked(&self) -> usize {
        self.sockets.len()
    }

    fn evicted(&self) -> u64 {
        self.sockets.left_out()
    }
}
