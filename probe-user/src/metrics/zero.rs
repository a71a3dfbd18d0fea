//! Every series that can be known beforehand, at zero: a rate over one that is not there is no alarm.

use probe_common::counter;

use super::{
    Metrics,
    observe::{BOOK, OUTCOMES_OF_EVENTS},
    spool::{DEAD, SpoolMeters},
};
use crate::{
    decode::DecodeError,
    enrich::misses::Lookup,
    event::Fact,
    findings::Severity,
    signals::{SIGNALS, firewall, fork, netlink, tc},
    sinks::{backend::Reason, queue::OUTCOMES},
    source::{capture::Captured, poll},
    symbols::Outcome,
};

impl Metrics {
    /// Makes the series of a sink.
    pub fn register_sink(&self, sink: &str) {
        for outcome in OUTCOMES {
            self.sink_records.with_label_values(&[sink, outcome]);
        }
        for outcome in DEAD {
            self.spool.dead.with_label_values(&[sink, outcome]);
        }
        for reason in Reason::ALL {
            self.sink_failures.with_label_values(&[sink, reason.label()]);
        }
    }

    /// Makes the series of a sink's spool.
    #[must_use]
    pub fn register_spool(&self, sink: &str) -> SpoolMeters {
        self.spool.of(sink)
    }

    /// Drops the series of a sink's spool.
    pub fn forget_spool(&self, sink: &str) {
        self.spool.forget(sink);
    }

    /// Drops the series of a sink that is no more. That one is not there is no failure.
    pub fn forget_sink(&self, sink: &str) {
        for outcome in OUTCOMES {
            let _ = self.sink_records.remove_label_values(&[sink, outcome]);
        }
        for reason in Reason::ALL {
            let _ = self.sink_failures.remove_label_values(&[sink, reason.label()]);
        }
        let _ = self.histograms.sink_seconds.remove_label_values(&[sink]);
        for outcome in DEAD {
            let _ = self.spool.dead.remove_label_values(&[sink, outcome]);
        }
        self.forget_spool(sink);
    }

    pub(super) fn start_at_zero(&self) {
        for reason in DecodeError::LABELS {
            self.decode_errors.with_label_values(&[reason]);
        }
        for signal in [&tc::SIGNAL, &netlink::SIGNAL] {
            self.seeded.with_label_values(&[signal.name]);
        }
        for signal in [&tc::SIGNAL, &fork::SIGNAL, &netlink::SIGNAL, &firewall::SIGNAL] {
            self.summed.with_label_values(&[signal.name]);
        }
        for outcome in Outcome::LABELS {
            self.symbolized.with_label_values(&[outcome]);
        }
        for outcome in Captured::LABELS {
            self.captured.with_label_values(&[outcome]);
        }
        for lookup in Lookup::ALL {
            self.enrich_misses.with_label_values(&[lookup.label()]);
        }
        for fact in Fact::LABELS {
            self.polled.with_label_values(&[fact]);
        }
        for poller in poll::NAMES {
            self.poll_failures.with_label_values(&[poller]);
        }
        for of in SIGNALS.iter().map(|signal| signal.name).chain([BOOK]) {
            self.tracked.with_label_values(&[of]);
            self.evicted.with_label_values(&[of]);
        }
        for signal in SIGNALS {
            for (_, outcome) in OUTCOMES_OF_EVENTS {
                self.kernel_events.with_label_values(&[signal.name, outcome]);
            }
            for (_, reason) in counter::LOSSES {
                self.lost.with_label_values(&[signal.name, reason]);
            }
            for (_, kind) in signal.kinds {
                self.events.with_label_values(&[signal.name, kind]);
            }
            for rule in signal.rules {
                for severity in Severity::ALL {
                    self.findings.with_label_values(&[rule.name, severity.name()]);
                    self.firing.with_label_values(&[rule.name, severity.name()]);
                }
            }
        }
    }
}
