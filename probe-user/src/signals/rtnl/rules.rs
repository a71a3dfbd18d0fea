//! What the rtnl signal can raise.

use crate::findings::Rule;

pub static PRESSURE: Rule = Rule {
    name: "rtnl-pressure",
    signal: "rtnl",
    meaning: "Tasks wait for the RTNL mutex. Every change of interfaces, addresses, routes and qdiscs of all \
              namespaces takes it, on most kernels many requests for information too: while one task has it, \
              pods are not set up, agents fall behind, `ip` hangs.",
    computed: "The time of all waits for rtnl_mutex that ended in `rtnl.window`, of all tasks together: \
               `rtnl.warn_waited` warns, `rtnl.critical_waited` is critical, and so is one wait of \
               `rtnl.critical_wait`, over or not (waits that are not over are looked at each second). A wait is put down to the task that had the mutex when it began; over \
               many waits this gives each holder the share of the time it had it. `ip` and `tc` count for \
               whoever ran them. Waits below `rtnl.least_wait_ms` count in the sum, without names.",
    keys: &[
        "rtnl.window",
        "rtnl.least_wait_ms",
        "rtnl.warn_waited",
        "rtnl.critical_waited",
        "rtnl.critical_wait",
        "rtnl.hold",
    ],
    false_alarms: "A node that starts, or drains, sets up or takes down dozens of pods at once and has some \
                   seconds of waiting; it passes. Namespaces are taken down by a worker of the kernel, \
                   `netns cleanup`: it then stands for whoever ended the pods.",
    advice: "Look at evidence.holders: the first one has the mutex while the others wait. Ask why it changes \
             interfaces, addresses or qdiscs so often (re-attach or re-sync loops, pods that restart, `ip` in \
             a script), and see the tc findings of the same time. With `netns cleanup`: look for pods that \
             come and go.",
};
