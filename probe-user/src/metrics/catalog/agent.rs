//! The agent's own parts.

use super::{
    Kind::{Counter, Gauge},
    Spec,
};
use crate::{config::sinks::MOST as MOST_SINKS, sinks::backend::Reason};

catalog! {
    BUILD_INFO: Spec {
        name: "nodeprobe_build_info",
        kind: Gauge,
        labels: &["version", "revision"],
        most: 1,
        help: "1, labelled with the build.",
        moves: "A rollout is under way.",
    };
    READY_SECONDS: Spec {
        name: "nodeprobe_ready_seconds",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Time from exec until all hooks were attached; 0 until then.",
        moves: "Many seconds: the node had no CPU time for it, or the kernel has very many symbols.",
    };
    LOOP_AGE: Spec {
        name: "nodeprobe_loop_last_turn_age_seconds",
        kind: Gauge,
        labels: &["loop"],
        most: LOOPS,
        help: "Time since a loop of the agent last turned; 0 while it waits for work.",
        moves: "It grows while a loop is busy or blocked: a slow disk, a reader that does not read.",
    };
    LOOP_STUCK: Spec {
        name: "nodeprobe_loop_stuck",
        kind: Gauge,
        labels: &["loop"],
        most: LOOPS,
        help: "1 when a loop of the agent has not turned for longer than it may.",
        moves: "The log names it. A vital one makes /livez fail, and whoever started the agent starts it again.",
    };
    PART_FAILURES: Spec {
        name: "nodeprobe_part_failures_total",
        kind: Counter,
        labels: &["part"],
        most: PARTS,
        help: "Times a part of the agent failed that it can do without; the failure of another ends the agent.",
        moves: "The log says what is missing from then on.",
    };
    CONFIG_RELOADS: Spec {
        name: "nodeprobe_config_reloads_total",
        kind: Counter,
        labels: &["outcome"],
        most: 3,
        help: "Times the configuration was read again, by what became of it.",
        moves: "`rejected`: the file is wrong and the old configuration stays; the log names file, line and key.",
    };
    CONFIG_LAST_SUCCESS: Spec {
        name: "nodeprobe_config_last_reload_success_timestamp_seconds",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "When the configuration was last read and not rejected, in Unix time.",
        moves: "It moves with each reload; the last one was rejected while it does not.",
    };
    CANARY_UP: Spec {
        name: "nodeprobe_canary_up",
        kind: Gauge,
        labels: &["signal"],
        most: CANARIES,
        help: "1 when the last event that the agent provoked itself came through; 0 when it did not, or none was provoked.",
        moves: "The agent does not see what it should: `nodeprobe selftest` and `nodeprobe doctor` tell more.",
    };
    CANARY_LAST_SUCCESS: Spec {
        name: "nodeprobe_canary_last_success_timestamp_seconds",
        kind: Gauge,
        labels: &["signal"],
        most: CANARIES,
        help: "When such an event last came through, in Unix time; 0 for never.",
        moves: "Older than two rounds (canary.every): as above.",
    };
    CANARY_FAILURES: Spec {
        name: "nodeprobe_canary_failures_total",
        kind: Counter,
        labels: &["signal"],
        most: CANARIES,
        help: "Times such an event did not come in time, or could not be provoked.",
        moves: "As above. Now and then on a node without CPU time is no reason to worry.",
    };
    CANARY_EVENTS: Spec {
        name: "nodeprobe_canary_events_total",
        kind: Counter,
        labels: &["signal"],
        most: CANARIES,
        help: "Events decoded that the agent provoked itself; nodeprobe_events_total has them not.",
        moves: "It grows with each round.",
    };
    ENRICH_MISSES: Spec {
        name: "nodeprobe_enrich_misses_total",
        kind: Counter,
        labels: &["lookup"],
        most: 5,
        help: "Lookups that found nothing, by what was looked for.",
        moves: "Findings lack names. Short-lived processes are always missed; when every pod is, check enrich.host_root and what is mounted there.",
    };
    KUBERNETES_WATCHING: Spec {
        name: "nodeprobe_kubernetes_watching",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "1 while the API server tells changes of this node's pods; 0 also where none is asked.",
        moves: "Owners of new pods stay unknown; the log says why. Findings come all the same.",
    };
    KUBERNETES_PODS: Spec {
        name: "nodeprobe_kubernetes_pods",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Pods that the API server told of, also those that are gone, as long as they are remembered.",
        moves: "It grows up to 2,048 with the pods of the node.",
    };
    KUBERNETES_FAILURES: Spec {
        name: "nodeprobe_kubernetes_failures_total",
        kind: Counter,
        labels: &["reason"],
        most: Reason::ALL.len(),
        help: "Questions to the API server that had no good answer, by reason.",
        moves: "`auth`: the token or the ClusterRole; `connect`, `timeout`: a NetworkPolicy, or the server is away.",
    };
    POLLED: Spec {
        name: "nodeprobe_polled_total",
        kind: Counter,
        labels: &["fact"],
        most: 8,
        help: "Facts looked up by pollers, by kind.",
        moves: "It grows all the time. When it does not, the rules fd-leak, fd-exhausted and fork-headroom are blind.",
    };
    POLL_FAILURES: Spec {
        name: "nodeprobe_poll_failures_total",
        kind: Counter,
        labels: &["poller"],
        most: 4,
        help: "Looks of a poller that were not whole for want of fds or memory.",
        moves: "The agent, or the node, has no fds or memory left: look at findings of the rule fd-exhausted, and at process_open_fds.",
    };
    SYMBOLIZED: Spec {
        name: "nodeprobe_symbolized_frames_total",
        kind: Counter,
        labels: &["outcome"],
        most: 8,
        help: "Frames of user stacks that were looked up, by outcome; unreadable and no_room also count whole stacks.",
        moves: "Findings show addresses instead of functions. The agent needs CAP_SYS_PTRACE to read the files of others.",
    };
    CAPTURED: Spec {
        name: "nodeprobe_capture_entries_total",
        kind: Counter,
        labels: &["outcome"],
        most: 4,
        help: "Entries for the capture file (run --capture), by what became of them.",
        moves: "Dropped ones are missing from a replay: the disk is slow, or the file is at its limit.",
    };
    SCRAPES: Spec {
        name: "nodeprobe_scrapes_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Times metrics were read.",
        moves: "It grows with each scrape.",
    };
    ACCEPT_FAILURES: Spec {
        name: "nodeprobe_metrics_accept_failures_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Times a connection to the metrics endpoint could not be taken in, mostly for want of fds.",
        moves: "The agent or the node has no fds left: as for nodeprobe_poll_failures_total.",
    };
}

/// Parts of the agent, at most, without its sinks.
const PARTS: usize = 10;
/// Loops: each sink has one, also those that a reload let go and that hand over what they have.
const LOOPS: usize = PARTS + 2 * MOST_SINKS + 1;
/// Signals whose events the agent provokes itself.
const CANARIES: usize = 3;
