//! Net open sockets and their growth, per process and protocol.

use super::{
    NetlinkChange, NetlinkEvidence,
    birthplace::Birth,
    protocol_name,
    rules::LEAK,
    sockets::{Holder, Holding, Sockets},
};
use crate::{
    config::netlink::NetlinkConfig,
    event::{Body, BootNs, Event},
    findings::{Condition, Evidence, Severity, Who},
    signals::Detector,
};

/// The detector of the netlink signal.
pub struct NetlinkDetector {
    config: NetlinkConfig,
    sockets: Sockets,
    bucket_ends: Option<BootNs>,
}

impl NetlinkDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &NetlinkConfig) -> Self {
        Self { config: config.clone(), sockets: Sockets::default(), bucket_ends: None }
    }

    fn severity(&self, holding: &Holding) -> Option<Severity> {
        let (config, open) = (&self.config, holding.per_netns());
        // N buckets have N + 1 ends; fewer is too short a history to call it a trend.
        let whole = holding.history.len() > config.buckets;
        let rising = holding.rising() * 100 >= config.buckets * config.rising_percent;
        if open >= config.critical_open {
            Some(Severity::Critical)
        } else {
            (open >= config.warn_open && whole && rising).then_some(Severity::Warning)
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
        let first = holding.history.front().copied().unwrap_or(0);
        let last = holding.history.back().copied().unwrap_or(0);
        let span = (bucket / 1_000_000).saturating_mul(buckets as u64).max(1);
        let growth =
            (last as i64 - first as i64) * 3_600_000 / i64::try_from(span).unwrap_or(i64::MAX);
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
                growth_per_hour: growth,
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
        }
    }
}

impl Detector for NetlinkDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        let Body::Netlink(change) = &event.body else { return };
        match *change {
            NetlinkChange::Opened { socket, protocol, birth } => {
                let holder = self.sockets.open(socket, protocol, birth, &event.context);
                let Some((holder, holding)) =
                    holder.and_then(|holder| Some((holder, self.sockets.holding(holder)?)))
                else {
                    return;
                };
                // The one that crosses the line speaks at once; the tick does the rest.
                if holding.per_netns() == self.config.critical_open {
                    let at = event.context.at;
                    out.push(self.condition(holder, holding, Severity::Critical, at));
                }
            }
            // Many come at once: the tick after the last one judges their sum.
            NetlinkChange::Seeded { socket, protocol } => {
                self.sockets.open(socket, protocol, Birth::Older, &event.context);
            }
            NetlinkChange::Closed { socket } => self.sockets.close(socket),
            NetlinkChange::OwnerExited => self.sockets.forget(event.context.pid),
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        self.end_buckets(now);
        for (holder, holding) in self.sockets.holders() {
            if let Some(severity) = self.severity(holding) {
                out.push(self.condition(holder, holding, severity, now));
            }
        }
    }

    fn tracked(&self) -> usize {
        self.sockets.len()
    }

    fn evicted(&self) -> u64 {
        self.sockets.left_out()
    }
}
