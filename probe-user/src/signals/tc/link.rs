//! An interface as a key, and the parents that its clsact qdisc holds.

use std::hash::{BuildHasher, BuildHasherDefault};

use rustc_hash::FxHasher;

use super::TcRequest;
use crate::event::Event;

/// Parent of a clsact qdisc (`TC_H_CLSACT`); it holds the filters of both directions.
pub const CLSACT: u32 = 0xffff_fff1;
/// Parent of the ingress filters of a clsact qdisc (`TC_H_MIN_INGRESS`).
pub const INGRESS: u32 = 0xffff_fff2;
/// Parent of its egress filters (`TC_H_MIN_EGRESS`).
pub const EGRESS: u32 = 0xffff_fff3;

/// A network namespace: its inode number, and the cookie that tells it from a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Netns {
    pub inode: u32,
    pub cookie: u64,
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkKey {
    pub netns: Netns,
    pub ifindex: i32,
}

impl LinkKey {
    /// The interface that a request is about.
    #[must_use]
    pub fn of(event: &Event, request: &TcRequest) -> Self {
        let netns = Netns { inode: event.context.netns.unwrap_or(0), cookie: request.netns_cookie };
        Self { netns, ifindex: request.interface.index }
    }

    /// Whether it is the interface that an event of its removal names.
    #[must_use]
    pub fn is(&self, netns: u32, ifindex: i32) -> bool {
        self.netns.inode == netns && self.ifindex == ifindex
    }
}

/// A finding's key made of whatever tells it from others.
pub fn hash(of: impl std::hash::Hash) -> u64 {
    BuildHasherDefault::<FxHasher>::default().hash_one(of)
}
