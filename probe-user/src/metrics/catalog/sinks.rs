//! What becomes of findings on their way out.

use super::{
    Kind::{Counter, Gauge, Histogram},
    Spec,
};
use crate::{config::sinks::MOST, sinks::queue::OUTCOMES};

/// Those that are configured, stdout, and as many that a reload let go and that hand over what they have.
const SINKS: usize = 2 * MOST + 1;
/// Upper bounds (s): from a file beside the agent to a backend that takes its time.
const ANSWERS: &[f64] = &[0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

catalog! {
    RECORDS: Spec {
        name: "nodeprobe_sink_records_total",
        kind: Counter,
        labels: &["sink", "outcome"],
        most: SINKS * OUTCOMES.len(),
        help: "Findings handed to a sink, by outcome: queued = written + those that wait.",
        moves: "`dropped`, `refused` and `expired` ones did not arrive: the log says why. `left_out` are those that a bound of the sink's own kept back (Events of Kubernetes a minute). `expired` are also those that a sink without a spool had left when a reload removed it: its series stay until the next one that changes sinks. Too many that wait: the backend is slow or away.",
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
    SPOOL_USABLE: Spec {
        name: "nodeprobe_sink_spool_usable",
        kind: Gauge,
        labels: &["sink"],
        most: SINKS,
        help: "1 when a sink's spool can be written to; at 0 its findings wait in memory, and end with the agent.",
        moves: "A full or broken disk, a directory that is not nodeprobe's, or another nodeprobe in it: the log says which.",
    };
    SPOOL_RECORDS: Spec {
        name: "nodeprobe_sink_spool_records",
        kind: Gauge,
        labels: &["sink"],
        most: SINKS,
        help: "Records in a sink's spool that the other side does not have yet.",
        moves: "The backend is slow or away. They are sent when it is back.",
    };
    SPOOL_BYTES: Spec {
        name: "nodeprobe_sink_spool_bytes",
        kind: Gauge,
        labels: &["sink"],
        most: SINKS,
        help: "What the files of a sink's spool take.",
        moves: "Near `max_mib` the oldest are given up next: see to the backend, or give it more.",
    };
    SPOOL_OLDEST: Spec {
        name: "nodeprobe_sink_spool_oldest_seconds",
        kind: Gauge,
        labels: &["sink"],
        most: SINKS,
        help: "How long the oldest record of a sink's spool has waited; 0 for none.",
        moves: "For how long nothing arrives. At `max_age` it is given up.",
    };
    SPOOL_DAMAGED: Spec {
        name: "nodeprobe_sink_spool_damaged_total",
        kind: Counter,
        labels: &["sink", "how"],
        most: SINKS * 2,
        help: "Places in a sink's spool that could not be read: cut_short as by a loss of power, or corrupt.",
        moves: "`corrupt` ones are a failing disk, or somebody who wrote there: the log has file and offset.",
    };
    SPOOL_SKIPPED: Spec {
        name: "nodeprobe_sink_spool_skipped_bytes_total",
        kind: Counter,
        labels: &["sink"],
        most: SINKS,
        help: "Bytes of a sink's spool that could not be read and were skipped.",
        moves: "How much was lost to such places.",
    };
    SPOOL_FAILURES: Spec {
        name: "nodeprobe_sink_spool_failures_total",
        kind: Counter,
        labels: &["sink"],
        most: SINKS,
        help: "Times a sink's spool could not be opened or written to; it is tried again.",
        moves: "As nodeprobe_sink_spool_usable.",
    };
    DEAD_LETTERS: Spec {
        name: "nodeprobe_sink_dead_letters_total",
        kind: Counter,
        labels: &["sink", "outcome"],
        most: SINKS * 2,
        help: "Records that the other side refused for good: kept in dead.jsonl, or lost.",
        moves: "The backend does not understand them: dead.jsonl beside the spool has its reasons.",
    };
}
