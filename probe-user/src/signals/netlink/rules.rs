//! What the netlink signal can raise.

use crate::findings::Rule;

pub static LEAK: Rule = Rule {
    name: "netlink-leak",
    signal: "netlink",
    meaning: "A process opens netlink sockets and does not close them. Each costs some 3.4 KB of kernel memory, \
              makes each fork of the process slower, and brings it nearer to its RLIMIT_NOFILE.",
    computed: "Sockets of one process and protocol that are open, divided by the network namespaces they are in: \
               `netlink.warn_open` that rose in `netlink.rising_percent` of the last `netlink.buckets` buckets \
               warn, `netlink.critical_open` are critical. Rising ones are critical, too, when the line through \
               the history (least squares, R² of at least 75 %) brings the process to 80 % of its soft RLIMIT_NOFILE \
               within 24 hours; its fds and its limit are looked up every `fd.poll`. `birthplaces` are the user \
               stacks of the calls that made the open sockets, the three with most; the first eight sockets of \
               a process, and those older than the agent, have none. C and Rust programs need frame pointers for \
               more than the innermost function, and a symbol table for its name; Go programs need neither.",
    keys: &[
        "netlink.warn_open",
        "netlink.critical_open",
        "netlink.bucket",
        "netlink.buckets",
        "netlink.rising_percent",
        "netlink.hold",
        "fd.poll",
    ],
    false_alarms: "`ip`, `tc` and `ss` open and close one a call: the rate does not count, only what stays open. \
                   A daemon with one socket a network namespace stays quiet. A socket that dup, fork or \
                   SCM_RIGHTS copied is one.",
    advice: "Something in this process opens a netlink socket on each round and forgets it; restart \
             the process to win time and look at the functions in `birthplaces` for a handle that is made \
             in a loop (Calico 3.29.0 did in findHostMTU, fixed by #9609).",
};
