//! What becomes of findings on their way out.

use super::{
    Kind::{Counter, Histogram},
    Spec,
};
use crate::config::sinks::MOST;

/// Those that are configured, stdout, and as many that a reload let go and that hand over what they have.
const SINKS: usize = 2 * MOST + 1;
/// Upper bounds (s): from a file beside the agent to a backend that takes its time.
const ANSWERS: &[f64] = &[0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

catalog! {
    RECORDS: Spec {
        name: "nodeprobe_sink_records_total",
        kind: Counter,
        labels: &["sink", "outcome"],
        most: SINKS * 6,
        help: "Findings handed to a sink, by outcome: queued = written + those that wait.",
        moves: "`dropped`, `refused` and `expired` ones did not arrive: the log says why. Too many that wait: the backend is slow or away.",
    };
    FAILURES: Spec {
        name: "nodeprobe_sink_failures_total",
        kind: Counter,
        labels: &["sink", "reason"],
        most: SINKS * 11,
        help: "Tries of a sink that failed and are repeated, by reason.",
        moves: "The backend is away or says no: the log has its words. Nothing is lost yet.",
    };
    SECONDS: Spec {
        name: "nodeprobe_sink_seconds",
        kind: Histogram(ANSWERS),
        labels: &["sink"],
        most: SINKS,
        help: "Time until the other side of a sink had answered for a batch, or had not in time.",
        moves: "A slow backend, or the way to it.",
    };
}
