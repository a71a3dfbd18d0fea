//! The agent as a process, by the names that all Prometheus clients use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use super::{
    Kind::{Counter, Gauge},
    Spec,
};

catalog! {
    CPU_SECONDS: Spec {
        name: "process_cpu_seconds_total",
        kind: Counter,
        labels: &[],
        most: 1,
        help: "Total user and system CPU time spent in seconds.",
        moves: "Usually below 1 % of a CPU. More goes with a storm of events, or with very many processes to look at (fd.poll).",
    };
    RESIDENT: Spec {
        name: "process_resident_memory_bytes",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Resident memory size in bytes.",
        moves: "It is bounded. One that only ever grows is a bug: report it.",
    };
    VIRTUAL: Spec {
        name: "process_virtual_memory_bytes",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Virtual memory size in bytes.",
        moves: "It says little by itself.",
    };
    OPEN_FDS: Spec {
        name: "process_open_fds",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Number of open file descriptors.",
        moves: "It hardly moves. Near process_max_fds the agent cannot look into /proc any more.",
    };
    MAX_FDS: Spec {
        name: "process_max_fds",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Maximum number of open file descriptors.",
        moves: "The limit comes from whoever starts the agent (LimitNOFILE).",
    };
    THREADS: Spec {
        name: "process_threads",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Number of OS threads in the process.",
        moves: "It stays as it was at the start: the agent makes no threads later.",
    };
    START_TIME: Spec {
        name: "process_start_time_seconds",
        kind: Gauge,
        labels: &[],
        most: 1,
        help: "Start time of the process since unix epoch in seconds.",
        moves: "The agent was started again: the end of the log before says why.",
    };
}
