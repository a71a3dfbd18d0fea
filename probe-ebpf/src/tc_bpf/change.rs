//! A change of what is attached to an interface, made of the arguments of the functions that do it.

use probe_common::{
    bpf::{operation, point},
    field as f,
};

use crate::kernel::{bpf, field, read_at};

/// `BPF_F_REPLACE` in `include/uapi/linux/bpf.h`.
const REPLACE: u32 = 1 << 2;

/// A change of what is attached, as its arguments tell it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Change {
    /// The interface (`struct net_device *`); 0 where the caller names it by its index.
    pub device: u64,
    /// The program (`struct bpf_prog *`); 0 when unknown.
    pub program: u64,
    /// The link (`struct bpf_link *`); 0 for none.
    pub link: u64,
    /// `struct netlink_ext_ack *`; 0 for none.
    pub ext_ack: u64,
    pub ifindex: i32,
    pub replaced_id: u32,
    pub operation: u16,
    pub point: u16,
    /// Whether the answer is the fd of a new link.
    pub makes_link: u32,
}

/// Of `union bpf_attr`: BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[derive(Clone, Copy)]
#[repr(C)]
struct ProgAttr {
    ifindex: i32,
    fd: u32,
    attach_type: u32,
    flags: u32,
    replace_fd: u32,
}

/// Of `union bpf_attr`: BPF_LINK_CREATE.
#[derive(Clone, Copy)]
#[repr(C)]
struct LinkAttr {
    fd: u32,
    ifindex: i32,
    attach_type: u32,
}

impl Change {
    const NOTHING: Self = Self {
        device: 0,
        program: 0,
        link: 0,
        ext_ack: 0,
        ifindex: 0,
        replaced_id: 0,
        operation: 0,
        point: 0,
        makes_link: 0,
    };

    /// int X_prog_attach(const union bpf_attr *attr, struct bpf_prog *prog)
    #[inline(always)]
    pub fn prog_attach(attr: u64, program: u64) -> Option<Self> {
        let attr: ProgAttr = read_at(attr)?;
        let replaced =
            if attr.flags & REPLACE == 0 { None } else { bpf::program_of_fd(attr.replace_fd) };
        Some(Self {
            program,
            ifindex: attr.ifindex,
            replaced_id: replaced.map_or(0, bpf::program_id),
            operation: operation::ATTACH,
            point: attr.attach_type as u16,
            ..Self::NOTHING
        })
    }

    /// int X_prog_detach(const union bpf_attr *attr, struct bpf_prog *prog): a caller may name a
    /// place among the programs and no program.
    #[inline(always)]
    pub fn prog_detach(attr: u64, program: u64) -> Option<Self> {
        let attr: ProgAttr = read_at(attr)?;
        Some(Self {
            program,
            ifindex: attr.ifindex,
            operation: operation::DETACH,
            point: attr.attach_type as u16,
            ..Self::NOTHING
        })
    }

    /// int X_link_attach(const union bpf_attr *attr, struct bpf_prog *prog)
    #[inline(always)]
    pub fn link_attach(attr: u64, program: u64) -> Option<Self> {
        let attr: LinkAttr = read_at(attr)?;
        Some(Self {
            program,
            ifindex: attr.ifindex,
            operation: operation::ATTACH,
            point: attr.attach_type as u16,
            makes_link: 1,
            ..Self::NOTHING
        })
    }

    /// A link of a live interface gets another program; `None` when the interface is gone.
    #[inline(always)]
    pub fn update(link: u64, program: u64, kind: LinkKind) -> Option<Self> {
        Self::of_link(link, program, operation::UPDATE, kind)
    }

    /// A link of a live interface goes; `None` when the interface went first, or a detach did it.
    #[inline(always)]
    pub fn release(link: u64, kind: LinkKind) -> Option<Self> {
        Self::of_link(link, bpf::link_program(link), operation::DETACH, kind)
    }

    #[inline(always)]
    fn of_link(link: u64, program: u64, operation: u16, kind: LinkKind) -> Option<Self> {
        let device: u64 = field(link, kind.device)?;
        if device == 0 {
            return None;
        }
        let point = match kind.point {
            Some(point) => point,
            None => kind.attach_type(link) as u16,
        };
        Some(Self { device, program, link, operation, point, ..Self::NOTHING })
    }

    /// static int dev_xdp_attach(struct net_device *dev, struct netlink_ext_ack *extack,
    ///     struct bpf_xdp_link *link, struct bpf_prog *new_prog, struct bpf_prog *old_prog, u32 flags)
    #[inline(always)]
    pub fn xdp(device: u64, ext_ack: u64, link: u64, program: u64) -> Self {
        let program = if link == 0 { program } else { bpf::link_program(link) };
        let operation = if program == 0 { operation::DETACH } else { operation::ATTACH };
        Self { device, program, link, ext_ack, operation, point: point::XDP, ..Self::NOTHING }
    }
}

/// A kind of link: where it keeps what.
#[derive(Clone, Copy)]
pub struct LinkKind {
    device: usize,
    /// Where older kernels keep the attach type.
    location: usize,
    /// The attach type, if there is only one.
    point: Option<u16>,
}

impl LinkKind {
    pub const TCX: Self =
        Self { device: f::TCX_LINK_DEV, location: f::TCX_LINK_LOCATION, point: None };
    pub const NETKIT: Self =
        Self { device: f::NETKIT_LINK_DEV, location: f::NETKIT_LINK_LOCATION, point: None };
    pub const XDP: Self = Self {
        device: f::XDP_LINK_DEV,
        location: f::BPF_LINK_ATTACH_TYPE,
        point: Some(point::XDP),
    };

    #[inline(always)]
    fn attach_type(self, link: u64) -> u32 {
        let location = field(link, self.location);
        location.or_else(|| field(link, f::BPF_LINK_ATTACH_TYPE)).unwrap_or(0)
    }
}
