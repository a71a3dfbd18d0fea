//! Tasks of the whole node.

use std::time::Duration;

use super::{NAMES, Poller, of_node};
use crate::{
    enrich::node::NodeFiles,
    event::{BootNs, Event, Fact},
};

/// Three small files, open all the time: no fd is needed to look.
pub struct NodeTasksPoller {
    every: Duration,
    files: Option<NodeFiles>,
}

impl NodeTasksPoller {
    /// Looks that often.
    pub fn new(every: Duration) -> Self {
        Self { every, files: NodeFiles::open().ok() }
    }
}

impl Poller for NodeTasksPoller {
    fn name(&self) -> &'static str {
        NAMES[0]
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn look(&mut self, at: BootNs, facts: &mut Vec<Event>) {
        facts.extend(
            self.files
                .as_ref()
                .and_then(NodeFiles::tasks)
                .map(|tasks| of_node(at, Fact::NodeTasks(tasks))),
        );
    }
}
