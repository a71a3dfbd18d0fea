//! Metrics that mirror what other parts of the agent, and the kernel side, count for themselves.

use std::time::Duration;

use aya::Ebpf;
use probe_common::counter;
use prometheus::IntCounter;

use super::Metrics;
use crate::{
    enrich::{Enricher, misses::Lookup},
    findings::{Severity, book::Book},
    probe::{cost::Runs, counters::Counters, coverage::Coverage},
    signals::{Detector, SIGNALS},
};

/// The book of findings, beside the signals, among what is bounded.
pub const BOOK: &str = "findings";

/// What becomes of events, as metric labels.
pub const OUTCOMES_OF_EVENTS: [(u32, &str); 3] = [
    (counter::SEEN, "seen"),
    (counter::DELIVERED, "delivered"),
    (counter::SUPPRESSED, "suppressed"),
];

/// Brings a counter up to a total that is kept elsewhere and only grows.
fn raise(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

impl Metrics {
    /// Takes over the state of the stages.
    pub fn observe_state(&self, enricher: &Enricher, detectors: &[Box<dyn Detector>], book: &Book) {
        for lookup in Lookup::ALL {
            let misses = self.enrich_misses.with_label_values(&[lookup.label()]);
            raise(&misses, enricher.misses().of(lookup));
        }
        raise(&self.findings_dropped, book.dropped());
        self.observe_bounds(BOOK, book.tracked(), book.evicted());
        for (signal, detector) in SIGNALS.iter().zip(detectors) {
            self.observe_bounds(signal.name, detector.tracked(), detector.evicted());
            for rule in signal.rules {
                for severity in Severity::ALL {
                    let firing =
                        i64::try_from(book.firing(rule.name, severity)).unwrap_or(i64::MAX);
                    self.firing.with_label_values(&[rule.name, severity.name()]).set(firing);
                }
            }
        }
    }

    fn observe_bounds(&self, of: &str, tracked: usize, evicted: u64) {
        self.tracked.with_label_values(&[of]).set(i64::try_from(tracked).unwrap_or(i64::MAX));
        raise(&self.evicted.with_label_values(&[of]), evicted);
    }

    /// Notes which rung a hook uses; the one it used `before` is no series any more.
    pub fn observe_rung(&self, covered: &Coverage, before: &'static str) {
        let (signal, hook) = (covered.signal.name, covered.hook.name);
        // A rung it never had is no series.
        let _ = self.coverage.remove_label_values(&[signal, hook, before]);
        self.coverage.with_label_values(&[signal, hook, covered.rung_name()]).set(1);
    }

    /// Notes which rung each hook uses.
    pub fn observe_coverage(&self, coverage: &[Coverage], ready_seconds: f64) {
        for covered in coverage {
            self.observe_rung(covered, covered.rung_name());
        }
        self.ready_seconds.set(ready_seconds);
    }

    /// Takes over the kernel side's counters, which only grow.
    pub fn observe_kernel(&self, counters: &Counters) {
        for signal in SIGNALS {
            let read = |which| counters.read(signal.wire, which);
            for (which, outcome) in OUTCOMES_OF_EVENTS {
                raise(&self.kernel_events.with_label_values(&[signal.name, outcome]), read(which));
            }
            for (which, reason) in counter::LOSSES {
                raise(&self.lost.with_label_values(&[signal.name, reason]), read(which));
            }
        }
    }

    /// Takes over what the kernel counted of each program. It is asked for each: no map is walked.
    pub fn observe_programs(&self, ebpf: &Ebpf) {
        for (name, program) in ebpf.programs() {
            // Those of other rungs are not loaded.
            let Some(runs) = Runs::of(program) else { continue };
            let seconds = self.program_seconds.with_label_values(&[name]);
            let total = Duration::from_nanos(runs.nanoseconds).as_secs_f64();
            seconds.inc_by((total - seconds.get()).max(0.0));
            raise(&self.program_runs.with_label_values(&[name]), runs.runs);
            raise(&self.program_left_out.with_label_values(&[name]), runs.left_out);
        }
    }

    /// Notes the memory of each map.
    pub fn observe_maps(&self, maps: &[(String, u64)]) {
        for (name, bytes) in maps {
            let gauge = self.map_bytes.with_label_values(&[name.as_str()]);
            gauge.set(i64::try_from(*bytes).unwrap_or(i64::MAX));
        }
    }

    /// Looks at the agent itself.
    pub fn observe_process(&self) {
        self.process.observe();
    }
}
