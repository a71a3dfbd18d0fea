//! Times, as histograms.

use prometheus::{Counter, Histogram, HistogramVec, IntCounter, Registry};

use super::catalog::{detection, sinks};
use crate::{
    event::{Body, BootNs, Event},
    signals::{
        SIGNALS,
        rtnl::RtnlWaits,
        tc::{Object, Operation, TcChange},
    },
};

/// The times of events.
pub struct Histograms {
    waits: Histogram,
    short_waits: IntCounter,
    short_seconds: Counter,
    requests: HistogramVec,
    events: HistogramVec,
    findings: HistogramVec,
    pub sink_seconds: HistogramVec,
}

impl Histograms {
    /// Registers them, every series at zero.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let histograms = Self {
            waits: detection::RTNL_WAIT.register(registry)?,
            short_waits: detection::RTNL_SHORT_WAITS.register(registry)?,
            short_seconds: detection::RTNL_SHORT_WAIT_SECONDS.register(registry)?,
            requests: detection::RTNL_REQUEST.register(registry)?,
            events: detection::EVENT_LATENCY.register(registry)?,
            findings: detection::DETECTION_LATENCY.register(registry)?,
            sink_seconds: sinks::SECONDS.register(registry)?,
        };
        for signal in SIGNALS {
            if !signal.kinds.is_empty() {
                histograms.events.with_label_values(&[signal.name]);
            }
            histograms.findings.with_label_values(&[signal.name]);
        }
        for object in [Object::Qdisc, Object::Filter] {
            for operation in [Operation::Write, Operation::Delete] {
                histograms.requests.with_label_values(&[object.name(), verb(operation)]);
            }
        }
        Ok(histograms)
    }

    /// Notes how long it took from an event in the kernel until it was decoded.
    pub fn decoded(&self, signal: &str, at: BootNs, now: BootNs) {
        self.events.with_label_values(&[signal]).observe(seconds(now.saturating_sub(at)));
    }

    /// Notes how long it took from what made a rule hold until its finding was on its way.
    pub fn found(&self, signal: &str, at: BootNs, now: BootNs) {
        self.findings.with_label_values(&[signal]).observe(seconds(now.saturating_sub(at)));
    }

    /// Takes the time that an event tells of, if it does.
    pub fn observe(&self, event: &Event) {
        match &event.body {
            Body::Rtnl(RtnlWaits::One(wait)) => self.waits.observe(seconds(wait.waited_ns)),
            Body::Rtnl(RtnlWaits::Many { waits, waited_ns }) => {
                self.short_waits.inc_by(*waits);
                self.short_seconds.inc_by(seconds(*waited_ns));
            }
            Body::Tc(TcChange::Request(request)) => {
                if let Some(ns) = request.duration_ns {
                    let labels = [request.object.name(), verb(request.operation)];
                    self.requests.with_label_values(&labels).observe(seconds(ns));
                }
            }
            Body::Tc(TcChange::LinkGone { .. } | TcChange::Seeded(_))
            | Body::Fork(_)
            | Body::Netlink(_)
            | Body::Firewall(_)
            | Body::Polled(_) => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
fn seconds(ns: u64) -> f64 {
    ns as f64 * 1e-9
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "write",
        Operation::Delete => "delete",
    }
}
