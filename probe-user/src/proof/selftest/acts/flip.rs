//! A filter that is attached beside the old one, which is deleted then, so that its handle toggles
//! (projectcalico/calico#10376): 1, 2, and 1 again.

use std::io;

use probe_common::tc::rtm;

use super::ActError;
use crate::{
    event::BootNs,
    findings::clock::boot_now,
    kernel::rtnetlink::{Object, Rtnetlink, request::Request},
    proof::selftest::stage::Stage,
    signals::tc::link::{CLSACT, INGRESS},
};

/// The handles that the filter is written with: fewer writes than an agent with the default
/// thresholds warns of (4), and one handle that comes back, of 3 that are critical.
pub const HANDLES: [u32; 3] = [1, 2, 1];

/// `RTM_NEWLINK` and `RTM_DELLINK`, `IFLA_*`, `IFLA_INFO_*`, `VETH_INFO_PEER` of include/uapi/linux
/// (rtnetlink.h, if_link.h, veth.h).
const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const IFNAME: u16 = 3;
const LINKINFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_PEER: u16 = 1;
/// `TCA_KIND`, `TCA_OPTIONS`, `TCA_BPF_OPS_LEN` and `TCA_BPF_OPS` (rtnetlink.h, pkt_cls.h).
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
const BPF_OPS_LEN: u16 = 4;
const BPF_OPS: u16 = 5;
/// A classic program of one instruction, `struct sock_filter`: return 0, no match.
const NO_MATCH: [u8; 8] = [0x06, 0, 0, 0, 0, 0, 0, 0];
/// Handle of a clsact (`TC_H_MAKE(TC_H_CLSACT, 0)`).
const CLSACT_HANDLE: u32 = 0xffff_0000;
/// The priority that tc and Calico use, and all protocols (`ETH_P_ALL`, in network order).
const INFO: u32 = 0xc000 << 16 | (0x0003_u16.to_be() as u32);

const ADD: libc::c_int =
    libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
const DELETE: libc::c_int = libc::NLM_F_REQUEST | libc::NLM_F_ACK;

/// Flips it once, on a veth that is removed then.
///
/// # Errors
/// What the kernel refuses, and what it may need.
pub fn flip(stage: &mut Stage) -> Result<BootNs, ActError> {
    stage.is_private()?;
    let mut rtnetlink = Rtnetlink::open().map_err(ActError::Socket)?;
    let link = Link::new();
    link.add(&mut rtnetlink).map_err(refused("a veth", "veth"))?;
    link.clsact(&mut rtnetlink).map_err(refused("a clsact qdisc", "sch_ingress"))?;
    let mut filter = |kind, handle| link.filter(&mut rtnetlink, kind, handle);
    let mut step = |kind, handle| filter(kind, handle).map_err(refused("a bpf filter", "cls_bpf"));
    let [first, second, again] = HANDLES;
    step(rtm::NEWTFILTER, first)?;
    step(rtm::NEWTFILTER, second)?;
    step(rtm::DELTFILTER, first)?;
    let at = boot_now();
    step(rtm::NEWTFILTER, again)?;
    link.delete(&mut rtnetlink).map_err(refused("to remove the veth", "veth"))?;
    Ok(at)
}

fn refused(what: &'static str, module: &'static str) -> impl FnOnce(io::Error) -> ActError {
    move |source| ActError::Refused { what, module, source }
}

/// A veth. An index and a name that differ each time: where the end of an interface cannot be seen,
/// another agent must not take two of them for one.
struct Link {
    index: i32,
}

impl Link {
    fn new() -> Self {
        Self { index: 1_000 + i32::try_from(boot_now() / 1_000 % 1_000_000).unwrap_or(0) }
    }

    fn add(&self, rtnetlink: &mut Rtnetlink) -> io::Result<()> {
        let (name, peer) = (format!("npst{}", self.index), format!("npsp{}", self.index));
        let peer = |data: Request| {
            data.with_nested(VETH_PEER, |of_peer| {
                of_peer.with_bytes(&ifinfo(0)).with_text(IFNAME, &peer)
            })
        };
        let request = Request::new(NEWLINK, ADD, &ifinfo(self.index))
            .with_text(IFNAME, &name)
            .with_nested(LINKINFO, |info| {
                info.with_text(INFO_KIND, "veth").with_nested(INFO_DATA, peer)
            });
        rtnetlink.ask(request)
    }

    fn clsact(&self, rtnetlink: &mut Rtnetlink) -> io::Result<()> {
        let clsact = self.object(CLSACT, CLSACT_HANDLE, 0);
        rtnetlink.ask(Request::new(rtm::NEWQDISC, ADD, &clsact.header()).with_text(KIND, "clsact"))
    }

    fn filter(&self, rtnetlink: &mut Rtnetlink, kind: u16, handle: u32) -> io::Result<()> {
        let filter = self.object(INGRESS, handle, INFO).header();
        let request = match kind {
            rtm::NEWTFILTER => {
                Request::new(kind, ADD, &filter).with_text(KIND, "bpf").with_nested(OPTIONS, |of| {
                    of.with(BPF_OPS_LEN, &1_u16.to_ne_bytes()).with(BPF_OPS, &NO_MATCH)
                })
            }
            _ => Request::new(kind, DELETE, &filter).with_text(KIND, "bpf"),
        };
        rtnetlink.ask(request)
    }

    fn delete(&self, rtnetlink: &mut Rtnetlink) -> io::Result<()> {
        rtnetlink.ask(Request::new(DELLINK, DELETE, &ifinfo(self.index)))
    }

    fn object(&self, parent: u32, handle: u32, info: u32) -> Object {
        Object { ifindex: self.index, handle, parent, info, ..Object::default() }
    }
}

/// `struct ifinfomsg` of include/uapi/linux/rtnetlink.h, of which the index is all that is said.
fn ifinfo(index: i32) -> [u8; 16] {
    let mut header = [0; 16];
    header.iter_mut().skip(4).zip(index.to_ne_bytes()).for_each(|(to, from)| *to = from);
    header
}
