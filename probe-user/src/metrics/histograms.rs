//! Times, as histograms.

use prometheus::{Counter, Histogram, HistogramOpts, HistogramVec, IntCounter, Registry};

use super::register;
use crate::{
    event::{Body, Event},
    signals::{
        rtnl::RtnlWaits,
        tc::{Object, Operation, TcChange},
    },
};

/// Upper bounds of waits (s).
const WAITS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of requests (s): most take some ten microseconds.
const REQUESTS: [f64; 13] = [
    0.000_02, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];
const NS: f64 = 1e-9;

/// The times of events.
pub struct Histograms {
    waits: Histogram,
    short_waits: IntCounter,
    short_seconds: Counter,
    requests: HistogramVec,
    pub sink_seconds: HistogramVec,
}

impl Histograms {
    /// Registers them, every series at zero.
    ///
    /// # Errors
    /// When two metrics have one name.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            HistogramOpts::new(name, help).buckets(buckets.to_vec())
        };
        let waits = histogram(
            "nodeprobe_rtnl_wait_seconds",
            "Waits for the RTNL mutex that were told by themselves.",
            &WAITS,
        );
        let requests = histogram(
            "nodeprobe_rtnl_request_seconds",
            "Time in the handlers of tc requests, by object and operation; where it is measured.",
            &REQUESTS,
        );
        let answers = histogram(
            "nodeprobe_sink_seconds",
            "Time until the other side of a sink had answered for a batch, or had not in time.",
            &WAITS,
        );
        let histograms = Self {
            waits: register(registry, Histogram::with_opts(waits))?,
            short_waits: register(
                registry,
                IntCounter::new(
                    "nodeprobe_rtnl_short_waits_total",
                    "Waits for the RTNL mutex that were told in sum: short, or above the budget.",
                ),
            )?,
            short_seconds: register(
                registry,
                Counter::new(
                    "nodeprobe_rtnl_short_wait_seconds_total",
                    "Time of the waits for the RTNL mutex that were told in sum.",
                ),
            )?,
            requests: register(registry, HistogramVec::new(requests, &["object", "operation"]))?,
            sink_seconds: register(registry, HistogramVec::new(answers, &["sink"]))?,
        };
        for object in [Object::Qdisc, Object::Filter] {
            for operation in [Operation::Write, Operation::Delete] {
                histograms.requests.with_label_values(&[object.name(), verb(operation)]);
            }
        }
        Ok(histograms)
    }

    /// Takes the time that an event tells of, if it does.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 104 days")]
    pub fn observe(&self, event: &Event) {
        match &event.body {
            Body::Rtnl(RtnlWaits::One(wait)) => self.waits.observe(wait.waited_ns as f64 * NS),
            Body::Rtnl(RtnlWaits::Many { waits, waited_ns }) => {
                self.short_waits.inc_by(*waits);
                self.short_seconds.inc_by(*waited_ns as f64 * NS);
            }
            Body::Tc(TcChange::Request(request)) => {
                if let Some(ns) = request.duration_ns {
                    let labels = [request.object.name(), verb(request.operation)];
                    self.requests.with_label_values(&labels).observe(ns as f64 * NS);
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

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "write",
        Operation::Delete => "delete",
    }
}
