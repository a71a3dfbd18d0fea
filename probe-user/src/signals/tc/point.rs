//! Attach points: an interface, and where on it (ingress, egress, root, tcx ingress, xdp, ...).

use super::{TcRequest, link::LinkKey};
use crate::event::Event;

/// Where something is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Point {
    pub link: LinkKey,
    pub parent: u32,
}

impl Point {
    /// The point a request is about.
    #[must_use]
    pub fn of(event: &Event, request: &TcRequest) -> Self {
        Self { link: LinkKey::of(event, request), parent: request.parent }
    }
}
