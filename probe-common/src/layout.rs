//! The records' layouts as the compiler laid them out, for the test that compares them with the
//! BTF of the built object.

use core::mem::offset_of;

use crate::{
    bpf::{ProgramRecord, TcBpfRecord},
    fork::ForkRecord,
    netlink::NetlinkRecord,
    tc::{LinkGoneRecord, TcRecord},
    wire::Header,
};

/// A wire structure: name, size and the offset of each member (bytes).
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub name: &'static str,
    pub size: usize,
    pub members: &'static [(&'static str, usize)],
}

macro_rules! layout {
    ($type:ident { $($member:ident),+ $(,)? }) => {
        Layout {
            name: stringify!($type),
            size: size_of::<$type>(),
            members: &[$((stringify!($member), offset_of!($type, $member))),+],
        }
    };
}

/// Every structure that crosses the ring buffer.
pub const RECORDS: &[Layout] = &[
    layout!(Header { kind, len, flags, ts_ns, tgid, pid, cgroup_id, netns, _pad, comm }),
    layout!(TcRecord {
        header,
        nlmsg_type,
        nlmsg_flags,
        ret,
        ifindex,
        parent,
        handle,
        info,
        netns_cookie,
        duration_ns,
        parent_tgid,
        _pad,
        parent_comm,
        ifname,
        kind,
        message,
        program,
        source,
        _pad2
    }),
    layout!(ProgramRecord { id, tag, name }),
    layout!(TcBpfRecord {
        header,
        operation,
        point,
        ret,
        ifindex,
        link_id,
        replaced_id,
        parent_tgid,
        netns_cookie,
        by_kernel,
        program,
        parent_comm,
        ifname,
        message
    }),
    layout!(LinkGoneRecord { header, ifindex, _pad }),
    layout!(ForkRecord {
        header,
        clone_flags,
        ret,
        cause,
        owner,
        current,
        limit,
        uid,
        owner_steps
    }),
    layout!(NetlinkRecord { header, socket, protocol, _pad }),
];
