//! What the tc signal takes from the kernel, and how.

use probe_common::field;

use crate::probe::{
    hook::{Attachment, Feature, Hook, Rung, Step, Target},
    reads,
};

const RTNETLINK: &str = "rtnetlink_rcv_msg";

pub const REQUESTS: Hook = Hook {
    name: "requests",
    sees: "changes of qdiscs and filters",
    reads: &[
        &reads::CGROUP_V1,
        &reads::NETNS_OF_REQUEST,
        &reads::NETNS_OF_CALLER,
        &reads::IFNAME,
        &reads::STARTERS,
        &reads::EXT_ACK,
        &reads::PROGRAM,
    ],
    unread: None,
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
    reads: &[&reads::GONE_DEVICE],
    unread: None,
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

const HAS_TCX: Feature = Feature {
    shown_by: field::TCX_LINK_DEV,
    absent: "this kernel has no TCX, which came with Linux 6.6 (CONFIG_NET_XGRESS)",
};
const HAS_NETKIT: Feature = Feature {
    shown_by: field::NETKIT_LINK_DEV,
    absent: "this kernel has no netkit, which came with Linux 6.7 (CONFIG_NETKIT)",
};

const fn tcx(program: &'static str, target: Target) -> Attachment {
    Attachment::new(program, target).only_with(HAS_TCX)
}

const fn netkit(program: &'static str, target: Target) -> Attachment {
    Attachment::optional(program, target).only_with(HAS_NETKIT)
}

pub const TCX: Hook = Hook {
    name: "tcx",
    sees: "programs attached by TCX and netkit",
    reads: &[
        &reads::CGROUP_V1,
        &reads::DEVICE,
        &reads::NETNS_OF_TASK,
        &reads::DEVICE_NAME,
        &reads::STARTERS,
        &reads::EXT_ACK,
        &reads::PROGRAM,
        &reads::LINK,
        &reads::TCX_LINK,
    ],
    unread: None,
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[
                tcx("tcx_prog_attach_fexit", Target::Fexit("tcx_prog_attach")),
                tcx("tcx_prog_detach_fexit", Target::Fexit("tcx_prog_detach")),
                tcx("tcx_link_attach_fexit", Target::Fexit("tcx_link_attach")),
                tcx("tcx_link_update_fexit", Target::Fexit("tcx_link_update")),
                tcx("tcx_link_release_fentry", Target::Fentry("tcx_link_release")),
                netkit("netkit_prog_attach_fexit", Target::Fexit("netkit_prog_attach")),
                netkit("netkit_prog_detach_fexit", Target::Fexit("netkit_prog_detach")),
                netkit("netkit_link_attach_fexit", Target::Fexit("netkit_link_attach")),
                netkit("netkit_link_update_fexit", Target::Fexit("netkit_link_update")),
                netkit("netkit_link_release_fentry", Target::Fentry("netkit_link_release")),
            ],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[
                tcx("tcx_kretprobe", Target::Kretprobe("tcx_prog_attach")),
                tcx("tcx_kretprobe", Target::Kretprobe("tcx_prog_detach")),
                tcx("tcx_kretprobe", Target::Kretprobe("tcx_link_attach")),
                tcx("tcx_kretprobe", Target::Kretprobe("tcx_link_update")),
                tcx("tcx_prog_attach_kprobe", Target::Kprobe("tcx_prog_attach")),
                tcx("tcx_prog_detach_kprobe", Target::Kprobe("tcx_prog_detach")),
                tcx("tcx_link_attach_kprobe", Target::Kprobe("tcx_link_attach")),
                tcx("tcx_link_update_kprobe", Target::Kprobe("tcx_link_update")),
                tcx("tcx_link_release_kprobe", Target::Kprobe("tcx_link_release")),
                netkit("tcx_kretprobe", Target::Kretprobe("netkit_prog_attach")),
                netkit("tcx_kretprobe", Target::Kretprobe("netkit_prog_detach")),
                netkit("tcx_kretprobe", Target::Kretprobe("netkit_link_attach")),
                netkit("tcx_kretprobe", Target::Kretprobe("netkit_link_update")),
                netkit("tcx_prog_attach_kprobe", Target::Kprobe("netkit_prog_attach")),
                netkit("tcx_prog_detach_kprobe", Target::Kprobe("netkit_prog_detach")),
                netkit("tcx_link_attach_kprobe", Target::Kprobe("netkit_link_attach")),
                netkit("netkit_link_update_kprobe", Target::Kprobe("netkit_link_update")),
                netkit("netkit_link_release_kprobe", Target::Kprobe("netkit_link_release")),
            ],
            misses: "",
        },
        // No tracepoint tells it.
    ],
};

pub const XDP: Hook = Hook {
    name: "xdp",
    sees: "XDP programs attached to interfaces",
    reads: &[
        &reads::CGROUP_V1,
        &reads::DEVICE,
        &reads::NETNS_OF_TASK,
        &reads::DEVICE_NAME,
        &reads::STARTERS,
        &reads::EXT_ACK,
        &reads::PROGRAM,
        &reads::LINK,
        &reads::XDP_LINK,
    ],
    unread: None,
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[
                Attachment::new("xdp_attach_fexit", Target::Fexit("dev_xdp_attach")),
                Attachment::new("xdp_link_update_fexit", Target::Fexit("bpf_xdp_link_update")),
                Attachment::new("xdp_link_release_fentry", Target::Fentry("bpf_xdp_link_release")),
            ],
            misses: "",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[
                Attachment::new("xdp_kretprobe", Target::Kretprobe("dev_xdp_attach")),
                Attachment::new("xdp_kretprobe", Target::Kretprobe("bpf_xdp_link_update")),
                Attachment::new("xdp_attach_kprobe", Target::Kprobe("dev_xdp_attach")),
                Attachment::new("xdp_link_update_kprobe", Target::Kprobe("bpf_xdp_link_update")),
                Attachment::new("xdp_link_release_kprobe", Target::Kprobe("bpf_xdp_link_release")),
            ],
            misses: "",
        },
        // No tracepoint tells it.
    ],
};
