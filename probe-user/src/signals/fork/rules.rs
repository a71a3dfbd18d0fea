//! What the fork signal can raise.

use crate::findings::Rule;

pub static FAILURES: Rule = Rule {
    name: "fork-failures",
    signal: "fork",
    meaning: "The kernel refuses new processes or threads. Whoever is refused fails in its own way: Go aborts in \
              `pthread_create`, shells loop, probes time out, Felix takes an empty answer for a fact.",
    computed: "Clones of one cgroup refused with EAGAIN or ENOMEM in `fork.window`: `fork.failures` warn; one \
               refused to a program of `fork.critical_comms` is critical. The limit that was reached is read \
               from the kernel as the clone returns, in the order in which the kernel checks: RLIMIT_NPROC, \
               kernel.threads-max, kernel.pid_max of the pid namespace and of those above it, pids.max of the \
               cgroup the child was to be born in and of those above it. Where it cannot be read (a kernel \
               without CONFIG_KALLSYMS_ALL shows no threads-max), the node's limits are looked at when the \
               finding fires, and it says so. subject.consumers are the containers and cgroups with the most \
               threads below the limit at that moment. Clones that fail with another errno are no exhaustion \
               and only counted: nodeprobe_events_total{kind=\"rejected\"}. A clone that a seccomp filter \
               answers never reaches the kernel's code and is not seen.",
    keys: &["fork.window", "fork.failures", "fork.small_limit", "fork.critical_comms", "fork.hold"],
    false_alarms: "A pod that hits a pids.max of its own of at most `fork.small_limit` tasks hurts nobody else \
                   and is info, also when it is systemd or runc that cannot start something in it \
                   (evidence.into_cgroup). Libraries retry (vfork, then clone): the count is higher than the \
                   number of forks somebody wanted. With pids.max reached and kernel.pid_max within 300 of it, \
                   pids.max is named.",
    advice: "Raise the limit that evidence.cause names, or stop what fills it: subject.consumers are the \
             cgroups with the most threads below it.",
};

pub static HEADROOM: Rule = Rule {
    name: "fork-headroom",
    signal: "fork",
    meaning: "A cgroup, or the node, will soon be refused new processes and threads: its tasks come near a limit, \
              or grow so steadily that they reach it within minutes. Nothing fails yet.",
    computed: "Every `fork.poll`, pids.current against pids.max of each cgroup that has one, and the node's tasks \
               against the lower of kernel.threads-max and kernel.pid_max. `fork.headroom_warn_percent` of the limit warn, `fork.headroom_critical_percent` are \
               critical, and so is a limit that would be reached within `fork.headroom_left`: from \
               `fork.headroom_growth_percent` on, by the line of least squares through the last 12 samples, of \
               at least 10 with R\u{b2} >= 0.8 (medium confidence; high is 0.95) that fall by at most an eighth \
               of what they rise, while the newest still rises. A severity ends 5 points below its threshold.",
    keys: &[
        "fork.poll",
        "fork.headroom_warn_percent",
        "fork.headroom_critical_percent",
        "fork.headroom_left",
        "fork.headroom_growth_percent",
        "fork.headroom_least_limit",
        "fork.small_limit",
        "fork.hold",
    ],
    false_alarms: "A flat line never has a time left; one that is flat above a threshold is still near its limit \
                   and fires once. A fixed pool of workers in a limit cut to fit it looks like that: a leaf with \
                   a limit of at most `fork.small_limit` tasks is info, one below `fork.headroom_least_limit` \
                   is not looked at. A start that takes longer than half a minute and stops short of the limit \
                   looks like a leak while it lasts.",
    advice: "Raise the limit before it is reached, or stop what grows: subject.consumers are the cgroups with the \
             most threads below it now.",
};
