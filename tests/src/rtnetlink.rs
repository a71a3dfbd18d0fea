//! rtnetlink(7), as far as the scenarios need it: interfaces and filters by the thousand, without a tool
//! for each.

use std::io;

use anyhow::{Context, Result};
use rustix::fd::OwnedFd;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

// include/uapi/linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
// include/uapi/linux/netlink.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const HEADER: usize = 16;
// include/uapi/linux/pkt_sched.h
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const SIDES: [u32; 2] = [0xffff_fff2, 0xffff_fff3];
/// Priority 1, `ETH_P_ALL` in network byte order.
const PRIO_1_ALL: u32 = 1 << 16 | 0x300;

/// A socket of the namespace that its thread was in.
pub struct Rtnetlink(OwnedFd);

impl Rtnetlink {
    /// Opens one.
    pub fn open() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
            .context("cannot open a netlink socket")?;
        bind(&socket, &SocketAddrNetlink::new(0, 0)).context("cannot bind a netlink socket")?;
        Ok(Self(socket))
    }

    /// Creates a veth of this name, with a peer that the kernel names; its index.
    pub fn add_veth(&mut self, name: &str) -> Result<i32> {
        const IFLA_IFNAME: u16 = 3;
        const IFLA_LINKINFO: u16 = 18;
        const IFLA_INFO_KIND: u16 = 1;
        let kind = attribute(IFLA_INFO_KIND, b"veth");
        let body = [
            link_message(0),
            attribute(IFLA_IFNAME, &[name.as_bytes(), &[0]].concat()),
            attribute(IFLA_LINKINFO, &kind),
        ];
        self.request(RTM_NEWLINK, &body.concat()).context("cannot add a veth")?;
        let name = std::ffi::CString::new(name)?;
        // SAFETY: the name ends with a NUL.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        i32::try_from(index).context("an interface has no index")
    }

    /// Deletes an interface.
    pub fn delete(&mut self, index: i32) -> Result<()> {
        self.request(RTM_DELLINK, &link_message(index)).context("cannot delete an interface")
    }

    /// Attaches a clsact and a filter each way that lets everything pass.
    pub fn attach(&mut self, index: i32) -> Result<()> {
        const TCA_KIND: u16 = 1;
        const TCA_OPTIONS: u16 = 2;
        const TCA_BPF_OPS_LEN: u16 = 4;
        const TCA_BPF_OPS: u16 = 5;
        const TCA_BPF_FLAGS: u16 = 8;
        const DIRECT_ACTION: u32 = 1;
        /// `BPF_RET | BPF_K` of `TC_ACT_UNSPEC`, a struct sock_filter.
        const PASS: [u8; 8] = [6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let clsact =
            [tc_message(index, CLSACT_HANDLE, CLSACT, 0), attribute(TCA_KIND, b"clsact\0")];
        self.request(RTM_NEWQDISC, &clsact.concat()).context("cannot add a clsact")?;
        let options = [
            attribute(TCA_BPF_OPS_LEN, &1_u16.to_ne_bytes()),
            attribute(TCA_BPF_OPS, &PASS),
            attribute(TCA_BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes()),
        ];
        for parent in SIDES {
            let filter = [
                tc_message(index, 0, parent, PRIO_1_ALL),
                attribute(TCA_KIND, b"bpf\0"),
                attribute(TCA_OPTIONS, &options.concat()),
            ];
            self.request(RTM_NEWTFILTER, &filter.concat()).context("cannot add a filter")?;
        }
        Ok(())
    }

    /// Sends a request and reads the kernel's answer, a struct nlmsgerr.
    fn request(&mut self, kind: u16, body: &[u8]) -> Result<()> {
        let create = if kind == RTM_DELLINK { 0 } else { NLM_F_CREATE | NLM_F_EXCL };
        let mut message = u32::try_from(HEADER + body.len())?.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend((NLM_F_REQUEST | NLM_F_ACK | create).to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        send(&self.0, &message, SendFlags::empty()).context("cannot ask rtnetlink")?;
        let mut answer = [0; 4_096];
        recv(&self.0, &mut answer, RecvFlags::empty()).context("rtnetlink does not answer")?;
        let error = answer[HEADER..].first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
        match error {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(-code).into()),
        }
    }
}

/// A struct ifinfomsg.
fn link_message(index: i32) -> Vec<u8> {
    let mut message = vec![0; 16];
    message[4..8].copy_from_slice(&index.to_ne_bytes());
    message
}

/// A struct tcmsg.
fn tc_message(index: i32, handle: u32, parent: u32, info: u32) -> Vec<u8> {
    let words = [handle, parent, info].map(u32::to_ne_bytes).concat();
    [&[0; 4][..], &index.to_ne_bytes(), &words].concat()
}

/// A struct rtattr with its payload, padded.
fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
    let mut attribute = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    attribute.extend(payload);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_tell_their_length_without() {
        let [low, high] = 7_u16.to_ne_bytes();
        let [kind, zero] = 1_u16.to_ne_bytes();
        assert_eq!(attribute(1, b"bpf"), [low, high, kind, zero, b'b', b'p', b'f', 0]);
    }
}
