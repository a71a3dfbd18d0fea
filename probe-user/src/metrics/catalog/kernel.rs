//! Hooks, and what the kernel side costs.

use super::{
    Kind::{Counter, Gauge},
    Spec,
};

/// Programs of the object, at most: each has series once it is loaded.
const PROGRAMS: usize = 72;

catalog! {
    KERNEL_EVENTS: Spec {
        name: "nodeprobe_kernel_events_total",
        kind: Counter,
        labels: &["signal", "outcome"],
        most: 18,
        help: "Events at the kernel's hooks, by what became of them: seen = delivered + suppressed + lost.",
        moves: "Suppressed ones are a storm that the kernel side told in sum; nothing is wrong with that.",
    };
    LOST: Spec {
        name: "nodeprobe_events_lost_total",
        kind: Counter,
        labels: &["signal", "reason"],
        most: 24,
        help: "Events that hooks saw and could not deliver, by reason.",
        moves: "The agent looks again at what there is, but a short incident can be missed. Give it CPU time; `ring_full` says that it did not keep up.",
    };
    SUMMED: Spec {
        name: "nodeprobe_summed_events_total",
        kind: Counter,
        labels: &["signal"],
        most: 4,
        help: "Suppressed events the agent was then told of in sum, by signal; rtnl tells its own in records.",
        moves: "It goes with a storm. Detectors count these like all others.",
    };
    SEEDED: Spec {
        name: "nodeprobe_seeded_total",
        kind: Counter,
        labels: &["signal"],
        most: 2,
        help: "Things looked up that no hook told of (sockets, clsact qdiscs, filters), by signal: there before the hooks, or after records were lost.",
        moves: "It grows at the start, and after events were lost.",
    };
    SEED_MISSES: Spec {
        name: "nodeprobe_seed_misses_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Parts of /proc and network namespaces that could not be read when the agent looked for those.",
        moves: "What was there before the agent may be missing. Check its capabilities (CAP_SYS_PTRACE, CAP_SYS_ADMIN) and that it shares the node's /proc.",
    };
    COVERAGE: Spec {
        name: "nodeprobe_signal_coverage",
        kind: Gauge,
        labels: &["signal", "hook", "rung"],
        most: 16,
        help: "1 for the rung each hook uses; rung=\"none\" sees nothing, rung=\"pending\" waits for its kernel module to be loaded.",
        moves: "A hook on rung none sees nothing: /readyz and `nodeprobe doctor` say why, and what can be done.",
    };
    PROGRAM_SECONDS: Spec {
        name: "nodeprobe_bpf_program_run_seconds_total",
        kind: Counter,
        labels: &["program"],
        most: PROGRAMS,
        help: "Time in the agent's kernel programs, by program; stands still unless the kernel counts (metrics.bpf_stats, or sysctl kernel.bpf_stats_enabled).",
        moves: "Divided by the runs it is the cost of one event for whoever causes it. Above some microseconds, report it with the kernel's version.",
    };
    PROGRAM_RUNS: Spec {
        name: "nodeprobe_bpf_program_runs_total",
        kind: Counter,
        labels: &["program"],
        most: PROGRAMS,
        help: "Runs of the agent's kernel programs, by program; stands still unless the kernel counts.",
        moves: "It goes with the rate of events. One that runs all the time is worth a look.",
    };
    PROGRAM_LEFT_OUT: Spec {
        name: "nodeprobe_bpf_program_left_out_total",
        kind: Counter,
        labels: &["program"],
        most: PROGRAMS,
        help: "Calls for which the kernel left a program of the agent out, as it was running on that CPU already, by program; counted since Linux 5.12.",
        moves: "Each may be an event that nobody saw, as on kernels that preempt themselves. It moves by single digits; if it grows all the time, report it with the kernel's version.",
    };
    MAP_BYTES: Spec {
        name: "nodeprobe_bpf_map_bytes",
        kind: Gauge,
        labels: &["map"],
        most: 32,
        help: "Kernel memory of the agent's maps, by map, as of its start.",
        moves: "It is fixed at the start, and grows with the number of CPUs.",
    };
}
