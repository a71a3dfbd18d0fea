//! Network namespaces, sockets and interfaces.

use probe_common::{field as f, tc::IFNAME_LEN};

use super::{copy_str, field, read_at};
use crate::globals::offset;

/// `NETDEV_HASHENTRIES` of `include/net/net_namespace.h`.
const INDEX_BUCKETS: u64 = 256;
/// Longest chain of the index hash that is walked: enough for 8,000 interfaces in one namespace.
const LONGEST_CHAIN: u32 = 32;

/// Inode number of a network namespace (`struct net *`); 0 when unknown.
#[inline(always)]
pub fn inum(net: u64) -> u32 {
    field(net, f::NET_NS_INUM).unwrap_or(0)
}

/// `net_cookie` of a network namespace (`struct net *`): unique for a boot; 0 when unknown.
#[inline(always)]
pub fn cookie(net: u64) -> u64 {
    field(net, f::NET_COOKIE).unwrap_or(0)
}

/// Index and namespace (`struct net *`) of an interface (`struct net_device *`).
#[inline(always)]
pub fn of_device(device: u64) -> Option<(i32, u64)> {
    Some((field(device, f::NET_DEVICE_IFINDEX)?, field(device, f::NET_DEVICE_NET)?))
}

/// The namespace (`struct net *`) of the socket a message came through (`struct sk_buff *`).
#[inline(always)]
pub fn of_skb(skb: u64) -> Option<u64> {
    of_sock(field(skb, f::SK_BUFF_SK)?)
}

/// The namespace (`struct net *`) of a socket (`struct sock *`).
#[inline(always)]
pub fn of_sock(sk: u64) -> Option<u64> {
    field(sk, f::SOCK_NET)
}

/// Copies the name that interface `ifindex` has now in namespace `net`, the way
/// `__dev_get_by_index` finds it (net/core/dev.c). Exact at event time, and needs no cache.
#[inline(always)]
pub fn ifname(into: &mut [u8; IFNAME_LEN], net: u64, ifindex: i32) -> Option<()> {
    let heads: u64 = field(net, f::NET_DEV_INDEX_HEAD)?;
    let hlist = offset(f::NET_DEVICE_INDEX_HLIST)?;
    let mut node: u64 = read_at(heads + 8 * (ifindex as u32 as u64 & (INDEX_BUCKETS - 1)))?;
    for _ in 0..LONGEST_CHAIN {
        if node == 0 {
            return None;
        }
        let device = node - hlist;
        if field::<i32>(device, f::NET_DEVICE_IFINDEX)? == ifindex {
            copy_str(into, device + offset(f::NET_DEVICE_NAME)?);
            return Some(());
        }
        node = read_at(node)?;
    }
    None
}

/// Inode number of a socket (`struct socket *`, the first member of `struct socket_alloc`).
#[inline(always)]
pub fn socket_inode(socket: u64) -> Option<u64> {
    field(socket + offset(f::SOCKET_ALLOC_INODE)?, f::INODE_INO)
}

/// Whether a process owns this socket (`struct socket *`) through a file.
#[inline(always)]
pub fn has_file(socket: u64) -> bool {
    field::<u64>(socket, f::SOCKET_FILE).unwrap_or(0) != 0
}
