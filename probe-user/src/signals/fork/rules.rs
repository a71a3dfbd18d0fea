//! What the fork signal can raise.

use crate::findings::Rule;

pub static FAILURES: Rule = Rule {
    name: "fork-failures",
    signal: "fork",
    meaning: "The kernel refuses new processes or threads. Whoever is refused fails in its own way: Go aborts in \
              `pthread_create`, shells loop, probes time out, Felix takes an empty answer for a fact.",
    computed: "Clones of one cgroup refused with EAGAIN or ENOMEM in `fork.window`: `fork.failures` warn; one \
               refused to a program of `fork.critical_comms` is critical. The limit that was reached is read \
               from the kernel as the clone returns; where it cannot be, the node's limits are looked at when \
               the finding fires, and it says so.",
    keys: &["fork.window", "fork.failures", "fork.small_limit", "fork.critical_comms", "fork.hold"],
    false_alarms: "A pod that hits a pids.max of its own of at most `fork.small_limit` tasks hurts nobody else \
                   and is info. Libraries retry (vfork, then clone): the count is higher than the number of \
                   forks somebody wanted.",
    advice: "Raise the limit that evidence.cause names, or stop what fills it: look for the cgroups, \
             or the user, with the most threads below it.",
};
