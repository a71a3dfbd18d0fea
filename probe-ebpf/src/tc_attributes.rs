//! What a tc request says in its attributes: the kind, and the program of a bpf filter.

use aya_ebpf::helpers::{bpf_probe_read_user, generated};
use probe_common::tc::{SOURCE_LEN, TcRecord, rtm};

use crate::{
    kernel::{bpf, copy_str, read_at},
    tc::{NlMsg, TcRequest},
};

/// `TCA_KIND` and `TCA_OPTIONS` in `include/uapi/linux/rtnetlink.h`.
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
/// `TCA_BPF_FD` and `TCA_BPF_NAME` in `include/uapi/linux/pkt_cls.h`.
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
/// Attributes looked at to find one; iproute2 puts the kind first and sends at most six of bpf.
const ATTRIBUTES: u32 = 8;
/// `NLA_TYPE_MASK` in `include/uapi/linux/netlink.h`: without the flags.
const TYPE_MASK: u16 = 0x3fff;
/// Size of `struct nlattr`: u16 nla_len (with this header), u16 nla_type.
const HEADER: u64 = 4;
const BPF: [u8; 4] = *b"bpf\0";

/// Where a message lies.
pub trait Memory {
    /// A word of it.
    fn word(address: u64) -> Option<u32>;
    /// A NUL-terminated text of it; `into` stays empty when it cannot be read.
    fn text(into: &mut [u8; SOURCE_LEN], address: u64);
}

/// A message the kernel has taken over.
pub struct Kernel;

/// A message the sender is about to send.
pub struct User;

impl Memory for Kernel {
    #[inline(always)]
    fn word(address: u64) -> Option<u32> {
        read_at(address)
    }

    #[inline(always)]
    fn text(into: &mut [u8; SOURCE_LEN], address: u64) {
        copy_str(into, address);
    }
}

impl Memory for User {
    #[inline(always)]
    fn word(address: u64) -> Option<u32> {
        // SAFETY: the helper checks the address and fails instead of faulting.
        unsafe { bpf_probe_read_user(address as *const u32) }.ok()
    }

    #[inline(always)]
    fn text(into: &mut [u8; SOURCE_LEN], address: u64) {
        // SAFETY: the helper writes at most SOURCE_LEN bytes to `into` and checks the source address.
        let _ = unsafe {
            generated::bpf_probe_read_user_str(
                into.as_mut_ptr().cast(),
                SOURCE_LEN as u32,
                address as *const core::ffi::c_void,
            )
        };
    }
}

/// Copies what the attributes behind a request say. The sender is the current task, so its fds are
/// those the request names.
#[inline(always)]
pub fn copy<M: Memory>(record: &mut TcRecord, nlmsg: u64, header: &NlMsg) {
    let (from, to) = (nlmsg + size_of::<TcRequest>() as u64, nlmsg + header.len as u64);
    if let Some((at, _)) = find::<M>(from, to, TCA_KIND) {
        copy_kind::<M>(record, at);
    }
    if header.kind != rtm::NEWTFILTER || !record.kind.starts_with(&BPF) {
        return;
    }
    let Some((from, to)) = find::<M>(from, to, TCA_OPTIONS) else {
        return;
    };
    if let Some((at, _)) = find::<M>(from, to, TCA_BPF_NAME) {
        M::text(&mut record.source, at);
    }
    let fd = find::<M>(from, to, TCA_BPF_FD).and_then(|(at, _)| M::word(at));
    if let Some(program) = fd.and_then(bpf::program_of_fd) {
        bpf::describe(&mut record.program, program);
    }
}

#[inline(always)]
fn copy_kind<M: Memory>(record: &mut TcRecord, at: u64) {
    for word in 0..record.kind.len() / 4 {
        let Some(text) = M::word(at + 4 * word as u64) else {
            return;
        };
        record.kind[4 * word..4 * word + 4].copy_from_slice(&text.to_ne_bytes());
        if text.to_ne_bytes().contains(&0) {
            return;
        }
    }
}

/// Where the payload of an attribute begins and ends, looked for between two addresses.
#[inline(always)]
fn find<M: Memory>(from: u64, to: u64, wanted: u16) -> Option<(u64, u64)> {
    let mut at = from;
    for _ in 0..ATTRIBUTES {
        if at + 2 * HEADER > to {
            return None;
        }
        let attribute = M::word(at)?;
        let (len, kind) = (attribute as u16 as u64, (attribute >> 16) as u16);
        if kind & TYPE_MASK == wanted {
            return Some((at + HEADER, at + len));
        }
        if len < HEADER {
            return None;
        }
        at += (len + 3) & !3;
    }
    None
}
