//! The records' layouts as the compiler laid them out, for the test that compares them with the
//! BTF of the built object.

use core::mem::offset_of;

use crate::{
    bpf::{ProgramRecord, TcBpfRecord},
    budget::{Sum, SumKey},
    firewall::FirewallRecord,
    fork::ForkRecord,
    netlink::NetlinkRecord,
    rtnl::{Party, RtnlShortRecord, RtnlWaitRecord, RtnlWaiting},
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

/// Every structure that crosses the ring buffer, or that the agent reads from a map.
pub const RECORDS: &[Layout] = &[
    layout!(Header { kind, len, flags, ts_ns, tgid, pid, cgroup_id, netns, events, comm }),
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
        started_ns,
        parent_started_ns,
        parent_tgid,
        parent_comm,
        ifname,
        kind,
        message,
        program,
        source
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
    layout!(FirewallRecord {
        header,
        netns_cookie,
        parent_tgid,
        parent_comm,
        table,
        family,
        marks,
        _pad,
        rules,
        removed
    }),
    layout!(ForkRecord {
        header,
        clone_flags,
        ret,
        cause,
        owner,
        current,
        limit,
        uid,
        owner_steps,
        level,
        _pad
    }),
    layout!(Party { cgroup_id, tgid, parent_tgid, comm, parent_comm, work }),
    layout!(RtnlWaiting { began_ns, holder }),
    layout!(RtnlWaitRecord { header, waited_ns, waiter, holder }),
    layout!(RtnlShortRecord { header, waits, waited_ns }),
    layout!(SumKey { class, epoch, processor }),
    layout!(Sum { events, record }),
    layout!(NetlinkRecord { header, socket, caller, protocol, stack }),
];
