//! Tasks of the whole node.

use std::time::Duration;

use super::{Poller, of_node};
use crate::{
    enrich::node,
    event::{BootNs, Event, Fact},
};

/// Three small files.
pub struct NodeTasksPoller {
    every: Duration,
}

impl NodeTasksPoller {
    /// Looks that often.
    pub fn new(every: Duration) -> Self {
        Self { every }
    }
}

impl Poller for NodeTasksPoller {
    fn every(&self) -> Duration {
        self.every
    }

    fn look(&mut self, at: BootNs, facts: &mut Vec<Event>) {
        facts.extend(node::tasks().map(|tasks| of_node(at, Fact::NodeTasks(tasks))));
    }
}
