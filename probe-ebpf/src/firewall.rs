//! firewall: writes to the tables of legacy iptables and of nftables, each when it has been done.
//!
//! Both ways are a call that asks and one that carries out, so what is asked for is kept by thread in
//! between. What only reads passes neither. A kprobe each: the functions are in modules.

use aya_ebpf::{
    macros::{kprobe, kretprobe, map},
    maps::LruHashMap,
    programs::{ProbeContext, RetProbeContext},
};
use probe_common::{
    field as f,
    firewall::{FirewallRecord, IPV4, IPV6, TABLE_LEN, mark},
    wire::kind,
};

use crate::{
    budget::{self, Class, Keep, mix},
    kernel::{copy_str, field, net, read_at, task, user},
    output,
    tc::NlMsg,
};

/// Writes under way at once. What is refused stays until its thread writes again, or others need the room.
const UNDER_WAY: u32 = 1_024;
/// `IPT_SO_SET_REPLACE` and `IP6T_SO_SET_REPLACE` (include/uapi/linux/netfilter_ipv{4,6}/).
const SET_REPLACE: i32 = 64;
/// `NFNL_MSG_BATCH_BEGIN` of include/uapi/linux/netfilter/nfnetlink.h: what is not in a batch writes nothing.
const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// `enum nf_tables_msg_types` of include/uapi/linux/netfilter/nf_tables.h.
const DELTABLE: u16 = 2;
const NEWRULE: u16 = 6;
const DELRULE: u16 = 8;
/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE` and `NFTA_RULE_TABLE`; libnftnl puts it first.
const TABLE: u16 = 1;
/// `NLA_TYPE_MASK` of include/uapi/linux/netlink.h.
const TYPE_MASK: u16 = 0x3fff;
/// Messages of a batch that are looked at.
const MOST_MESSAGES: u32 = 64;

/// What a thread has asked for.
#[derive(Clone, Copy)]
#[repr(C)]
struct Write {
    /// Its network namespace (`struct net *`).
    net: u64,
    table: [u8; TABLE_LEN],
    rules: u32,
    removed: u32,
    family: u8,
    marks: u8,
    /// Whether a rule said the table's name.
    named_by_rule: u8,
    _pad: [u8; 5],
}

#[map]
static FIREWALL_WRITES: LruHashMap<u64, Write> = LruHashMap::with_max_entries(UNDER_WAY, 0);

/// The beginning of `struct ipt_replace`, of `struct ip6t_replace` and of both for 32-bit programs.
#[derive(Clone, Copy)]
#[repr(C)]
struct Replace {
    name: [u8; TABLE_LEN],
    valid_hooks: u32,
    num_entries: u32,
}

/// A message of nfnetlink up to its first attribute.
#[derive(Clone, Copy)]
#[repr(C)]
struct Message {
    nl: NlMsg,
    family: u8,
    _version: u8,
    /// In network order.
    resource: u16,
    _attribute_len: u16,
    attribute: u16,
}

// int do_ipt_set_ctl(struct sock *sk, int cmd, sockptr_t arg, unsigned int len)
#[kprobe]
fn firewall_legacy(ctx: ProbeContext) -> u32 {
    replaces(&ctx, IPV4);
    0
}

#[kretprobe]
fn firewall_legacy_done(ctx: RetProbeContext) -> u32 {
    replaced(ctx.ret());
    0
}

// int do_ip6t_set_ctl(struct sock *sk, int cmd, sockptr_t arg, unsigned int len)
#[kprobe]
fn firewall_legacy6(ctx: ProbeContext) -> u32 {
    replaces(&ctx, IPV6);
    0
}

#[kretprobe]
fn firewall_legacy6_done(ctx: RetProbeContext) -> u32 {
    replaced(ctx.ret());
    0
}

// void nfnetlink_rcv(struct sk_buff *skb)
#[kprobe]
fn firewall_batch(ctx: ProbeContext) -> u32 {
    if let Some(skb) = ctx.arg::<u64>(0) {
        batch(skb);
    }
    0
}

// int nf_tables_commit(struct net *net, struct sk_buff *skb)
#[kprobe]
fn firewall_commit(_ctx: ProbeContext) -> u32 {
    done(kind::FIREWALL_NFT);
    0
}

/// A table of legacy iptables is replaced as a whole: a program writes all of its entries anew.
#[inline(always)]
fn replaces(ctx: &ProbeContext, family: u8) -> Option<()> {
    let (sk, command, blob): (u64, i32, u64) = (ctx.arg(0)?, ctx.arg(1)?, ctx.arg(2)?);
    let _ = FIREWALL_WRITES.remove(output::thread_key());
    if command != SET_REPLACE {
        return None;
    }
    let Replace { name, valid_hooks, num_entries } = user::read(blob)?;
    // Each hook of a table has its policy, and the end of the table is an entry too.
    let of_table = hooks(valid_hooks) + 1;
    let write = Write {
        net: net::of_sock(sk).unwrap_or(0),
        table: name,
        rules: num_entries.saturating_sub(of_table),
        removed: 0,
        family,
        marks: 0,
        named_by_rule: 0,
        _pad: [0; 5],
    };
    let _ = FIREWALL_WRITES.insert(output::thread_key(), write, 0);
    Some(())
}

/// Bits that are set, of the five there are (`NF_INET_NUMHOOKS`).
#[inline(always)]
fn hooks(valid: u32) -> u32 {
    (valid & 1) + (valid >> 1 & 1) + (valid >> 2 & 1) + (valid >> 3 & 1) + (valid >> 4 & 1)
}

#[inline(always)]
fn replaced(ret: i32) {
    if ret == 0 {
        done(kind::FIREWALL_LEGACY);
    } else {
        let _ = FIREWALL_WRITES.remove(output::thread_key());
    }
}

/// A message to nfnetlink. A batch of nftables is walked before it is carried out: the commit does not
/// tell what it commits.
#[inline(always)]
fn batch(skb: u64) -> Option<()> {
    let _ = FIREWALL_WRITES.remove(output::thread_key());
    let mut at: u64 = field(skb, f::SK_BUFF_DATA)?;
    let end = at + field::<u32>(skb, f::SK_BUFF_LEN)? as u64;
    let first: Message = read_at(at)?;
    if first.nl.kind != BATCH_BEGIN || u16::from_be(first.resource) != NFTABLES {
        return None;
    }
    let write = Write {
        net: net::of_skb(skb).unwrap_or(0),
        table: [0; TABLE_LEN],
        rules: 0,
        removed: 0,
        family: 0,
        marks: mark::CUT,
        named_by_rule: 0,
        _pad: [0; 5],
    };
    let key = output::thread_key();
    let _ = FIREWALL_WRITES.insert(key, write, 0);
    // In the map and not on the stack, which the verifier follows value by value through each round.
    // SAFETY: the entry belongs to this thread alone, and its memory stays while the program runs.
    let write = unsafe { &mut *FIREWALL_WRITES.get_ptr_mut(key)? };
    at += aligned(first.nl.len);
    for _ in 0..MOST_MESSAGES {
        if at >= end {
            write.marks &= !mark::CUT;
            break;
        }
        let message: Message = read_at(at)?;
        if message.nl.kind >> 8 == NFTABLES {
            note(write, &message, at);
        }
        let len = aligned(message.nl.len);
        if len < size_of::<NlMsg>() as u64 {
            break;
        }
        at += len;
    }
    Some(())
}

/// Adds one message of a batch, at its address.
#[inline(always)]
fn note(write: &mut Write, message: &Message, at: u64) {
    let what = message.nl.kind & 0xff;
    match what {
        NEWRULE => write.rules += 1,
        DELRULE => write.removed += 1,
        DELTABLE => write.marks |= mark::TABLE_DELETED,
        _ => {}
    }
    let is_rule = what == NEWRULE || what == DELRULE;
    let is_better = write.family == 0 || (is_rule && write.named_by_rule == 0);
    if is_better && message.attribute & TYPE_MASK == TABLE {
        write.named_by_rule = is_rule as u8;
        write.family = message.family;
        copy_str(&mut write.table, at + size_of::<Message>() as u64);
    }
}

/// `NLMSG_ALIGN` of include/uapi/linux/netlink.h.
#[inline(always)]
fn aligned(len: u32) -> u64 {
    (len as u64 + 3) & !3
}

/// What the current thread has asked for is done.
#[inline(always)]
fn done(kind: u16) -> Option<()> {
    let key = output::thread_key();
    // SAFETY: the entry belongs to this thread alone; it is copied before it is removed.
    let write = unsafe { FIREWALL_WRITES.get(key) }.copied()?;
    let _ = FIREWALL_WRITES.remove(key);
    let netns = net::inum(write.net);
    let table = u64::from_ne_bytes(*write.table.first_chunk()?);
    let place = mix(mix(netns as u64, kind as u64 | (write.family as u64) << 16), table);
    let digest = output::comm().into_iter().fold(place, mix);
    let class = Class { kind, digest, keep: Keep::Last };
    budget::emit::<FirewallRecord>(place, class, |record| {
        record.header.netns = netns;
        record.netns_cookie = net::cookie(write.net);
        task::copy_parent(&mut record.parent_tgid, &mut record.parent_comm);
        record.table = write.table;
        record.family = write.family;
        record.marks = write.marks;
        record.rules = write.rules;
        record.removed = write.removed;
        output::copy_comm(&mut record.header);
    });
    Some(())
}
