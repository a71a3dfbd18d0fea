//! Interfaces that went a moment ago. What the kernel side tells in sum comes late, and must not bring
//! back what is gone.

use std::collections::VecDeque;

use super::TcRequest;
use crate::event::{BootNs, Event};

/// Interfaces remembered at once; the oldest is forgotten first.
const MOST: usize = 1_024;
/// How long one is remembered (ns): sums are two seconds late, more if the agent is.
const KEEP: u64 = 30_000_000_000;

/// The latest interfaces that went: network namespace, index, when.
#[derive(Default)]
pub struct Gone(VecDeque<(u32, i32, BootNs)>);

impl Gone {
    /// Notes one that is gone.
    pub fn note(&mut self, netns: u32, ifindex: i32, at: BootNs) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((netns, ifindex, at));
    }

    /// Whether a sum of requests is about an interface that went after them.
    #[must_use]
    pub fn knows(&self, event: &Event, request: &TcRequest) -> bool {
        let place = (event.context.netns.unwrap_or(0), request.interface.index);
        event.sum.is_some()
            && self
                .0
                .iter()
                .any(|(netns, ifindex, at)| (*netns, *ifindex) == place && event.context.at <= *at)
    }

    /// Forgets those of long ago.
    pub fn tick(&mut self, now: BootNs) {
        self.0.retain(|(.., at)| now.saturating_sub(*at) <= KEEP);
    }
}
