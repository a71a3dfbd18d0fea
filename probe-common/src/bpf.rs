//! bpf programs on interfaces: which one, and attaching it by the ways that are no tc request.

use crate::{
    tc::{IFNAME_LEN, MESSAGE_LEN},
    wire::{COMM_LEN, Header},
};

/// Length of a program's name, `BPF_OBJ_NAME_LEN` in `include/uapi/linux/bpf.h` (bytes).
pub const NAME_LEN: usize = 16;
/// Length of a program's tag, `BPF_TAG_SIZE` in `include/uapi/linux/bpf.h` (bytes).
pub const TAG_LEN: usize = 8;

/// A loaded program (`struct bpf_prog`); all zero when unknown.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramRecord {
    /// Id of the load; never used again before it wraps.
    pub id: u32,
    /// Digest of the instructions: the same for each load of the same code.
    pub tag: [u8; TAG_LEN],
    pub name: [u8; NAME_LEN],
}

const _: () = assert!(size_of::<ProgramRecord>() == 28);

/// What was done, in [`TcBpfRecord::operation`].
pub mod operation {
    pub const ATTACH: u16 = 1;
    pub const DETACH: u16 = 2;
    /// `BPF_LINK_UPDATE`: another program in an existing link.
    pub const UPDATE: u16 = 3;
}

/// Where, in [`TcBpfRecord::point`]: `enum bpf_attach_type` of `include/uapi/linux/bpf.h`.
pub mod point {
    pub const XDP: u16 = 37;
    pub const TCX_INGRESS: u16 = 46;
    pub const TCX_EGRESS: u16 = 47;
    pub const NETKIT_PRIMARY: u16 = 54;
    pub const NETKIT_PEER: u16 = 55;
}

/// A program was attached to an interface, or detached, by TCX, netkit or XDP; or was refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcBpfRecord {
    pub header: Header,
    /// One of [`operation`].
    pub operation: u16,
    /// One of [`point`]; 0 when unknown.
    pub point: u16,
    /// What the kernel answered: 0 (a new link: its fd) or a negative errno.
    pub ret: i32,
    /// Index of the interface in the header's namespace.
    pub ifindex: i32,
    /// Id of the link; 0 for an attachment without one, and where it is not known.
    pub link_id: u32,
    /// Id of the program whose place was taken (`BPF_F_REPLACE`); 0 for none.
    pub replaced_id: u32,
    /// Process id of the writer's parent; 0 when unknown.
    pub parent_tgid: u32,
    /// `net_cookie` of the namespace: unlike its inode number never used again; 0 before 5.12.
    pub netns_cookie: u64,
    /// 1 when a kernel thread did it: the last reference to a link went, and who held it is unknown.
    pub by_kernel: u32,
    pub program: ProgramRecord,
    /// Name of the writer's parent.
    pub parent_comm: [u8; COMM_LEN],
    /// Name of the interface at that moment; empty when unknown.
    pub ifname: [u8; IFNAME_LEN],
    /// The kernel's own ext-ack sentence (XDP only); empty when it gave none.
    pub message: [u8; MESSAGE_LEN],
}

const _: () = assert!(size_of::<TcBpfRecord>() == 248);
