//! Attach points: an interface, and where on it (ingress, egress, root, tcx ingress, xdp, ...).

use super::TcRequest;
use crate::event::Event;

/// Where something is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    pub netns: u32,
    /// Tells a namespace from a later one with the same inode number.
    pub netns_cookie: u64,
    pub ifindex: i32,
    pub parent: u32,
}

impl Point {
    /// The point a request is about.
    #[must_use]
    pub fn of(event: &Event, request: &TcRequest) -> Self {
        Self {
            netns: event.context.netns.unwrap_or(0),
            netns_cookie: request.netns_cookie,
            ifindex: request.interface.index,
            parent: request.parent,
        }
    }
}
