//! What the tc signal takes from the kernel, and how.

use crate::probe::hook::{Attachment, Hook, Rung, Step, Target};

const RTNETLINK: &str = "rtnetlink_rcv_msg";

pub const REQUESTS: Hook = Hook {
    name: "requests",
    sees: "changes of qdiscs and filters",
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[
                Attachment::new("tc_fexit", Target::Fexit(RTNETLINK)),
                Attachment::optional("tc_start_modify_qdisc", Target::Fentry("tc_modify_qdisc")),
                Attachment::optional("tc_start_get_qdisc", Target::Fentry("tc_get_qdisc")),
                Attachment::optional("tc_start_new_tfilter", Target::Fentry("tc_new_tfilter")),
                Attachment::optional("tc_start_del_tfilter", Target::Fentry("tc_del_tfilter")),
            ],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[
                Attachment::new("tc_kretprobe", Target::Kretprobe(RTNETLINK)),
                Attachment::new("tc_kprobe", Target::Kprobe(RTNETLINK)),
            ],
            misses: "",
        },
        Step {
            rung: Rung::Tracepoint,
            programs: &[
                socket_tracker("netlink_sys_exit_socket", "sys_exit_socket"),
                socket_tracker("netlink_sys_enter_socket", "sys_enter_socket"),
                socket_tracker("tc_sys_exit_send", "sys_exit_sendmsg"),
                socket_tracker("tc_sys_exit_send", "sys_exit_sendto"),
                socket_tracker("tc_sys_enter_sendmsg", "sys_enter_sendmsg"),
                socket_tracker("tc_sys_enter_sendto", "sys_enter_sendto"),
                Attachment::new("tc_ext_ack", Target::Tracepoint("netlink", "netlink_extack")),
                Attachment::optional(
                    "tc_qdisc_changed",
                    Target::Tracepoint("qdisc", "qdisc_create"),
                ),
                Attachment::optional(
                    "tc_qdisc_changed",
                    Target::Tracepoint("qdisc", "qdisc_destroy"),
                ),
            ],
            misses: "requests through sockets opened before the agent started, through dup'd or \
                     passed fds, io_uring or write(2); the return code (no ext-ack is taken as \
                     success); all but the first request of a batch",
        },
    ],
};

const fn socket_tracker(program: &'static str, name: &'static str) -> Attachment {
    Attachment::new(program, Target::Tracepoint("syscalls", name))
}

pub const LINK_GONE: Hook = Hook {
    name: "link-gone",
    sees: "the removal of interfaces (one that gets the index and name of a removed one may be taken for it)",
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[Attachment::new("tc_link_gone_fentry", Target::Fentry("dev_shutdown"))],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[Attachment::new("tc_link_gone_kprobe", Target::Kprobe("dev_shutdown"))],
            misses: "",
        },
        // No tracepoint tells it. There the namespace's cookie, in each request, keeps a reused
        // namespace apart, and a changed name a reused index.
    ],
};
