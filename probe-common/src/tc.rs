//! tc: one record for each request that changes a qdisc or a filter.

use crate::{
    bpf::ProgramRecord,
    wire::{COMM_LEN, Header},
};

/// Length of an interface name, `IFNAMSIZ` in `include/uapi/linux/if.h` (bytes).
pub const IFNAME_LEN: usize = 16;
/// Length kept of `TCA_KIND`, `IFNAMSIZ` in the kernel's own policy (bytes).
pub const KIND_LEN: usize = 16;
/// Length kept of the kernel's ext-ack sentence (bytes); the longest of net/sched is below it.
pub const MESSAGE_LEN: usize = 96;
/// Length kept of `TCA_BPF_NAME`, of 256 in the kernel's own policy (bytes).
pub const SOURCE_LEN: usize = 64;

/// Message types of `include/uapi/linux/rtnetlink.h` that change tc state.
pub mod rtm {
    pub const NEWQDISC: u16 = 36;
    pub const DELQDISC: u16 = 37;
    pub const NEWTFILTER: u16 = 44;
    pub const DELTFILTER: u16 = 45;
}

/// A request to rtnetlink and its answer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcRecord {
    pub header: Header,
    /// `nlmsg_type`, one of [`rtm`].
    pub nlmsg_type: u16,
    /// `nlmsg_flags`: `NLM_F_CREATE`, `NLM_F_EXCL`, `NLM_F_REPLACE`, ...
    pub nlmsg_flags: u16,
    /// What the kernel answered: 0 or a negative errno.
    pub ret: i32,
    /// `tcm_ifindex`.
    pub ifindex: i32,
    /// `tcm_parent`: `ffff:fff2` is clsact ingress, `ffff:fff3` egress.
    pub parent: u32,
    /// `tcm_handle` as asked; 0 lets the kernel choose.
    pub handle: u32,
    /// `tcm_info`: priority in the high half, protocol (network order) in the low.
    pub info: u32,
    /// `net_cookie` of the namespace: unlike its inode number never used again; 0 before 5.12.
    pub netns_cookie: u64,
    /// Time the request's handler ran (ns); 0 when not measured.
    pub duration_ns: u64,
    /// Start of the writer's process since boot (ns); 0 when unknown.
    pub started_ns: u64,
    /// Start of its parent's process since boot (ns); 0 when unknown.
    pub parent_started_ns: u64,
    /// Process id of the writer's parent; 0 when unknown.
    pub parent_tgid: u32,
    /// Name of the writer's parent: `tc` is run by an agent, and that is the culprit.
    pub parent_comm: [u8; COMM_LEN],
    /// Name of the interface at that moment; empty when unknown.
    pub ifname: [u8; IFNAME_LEN],
    /// `TCA_KIND`: `clsact`, `bpf`, ...; empty when the request has none.
    pub kind: [u8; KIND_LEN],
    /// The kernel's own ext-ack sentence; empty when it gave none.
    pub message: [u8; MESSAGE_LEN],
    /// The program that a bpf filter is made of; classic bytecode has none.
    pub program: ProgramRecord,
    /// `TCA_BPF_NAME`: where the program comes from, `classifier.o:[section]`; empty when not given.
    pub source: [u8; SOURCE_LEN],
}

const _: () = assert!(size_of::<TcRecord>() == 352);

/// An interface is being removed, and every qdisc and filter on it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkGoneRecord {
    pub header: Header,
    /// Index of the interface in the header's namespace.
    pub ifindex: i32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<LinkGoneRecord>() == 64);
