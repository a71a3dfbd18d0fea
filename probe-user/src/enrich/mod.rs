//! From kernel ids to names: processes, cgroups, containers.
//!
//! Ids of short-lived things are looked up while they exist: a cgroup's path at its first event.
//! All else is looked up when a finding needs it. A lookup that fails is counted, leaves its field
//! empty and never drops an event. Caches are bounded.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::{
    event::{Comm, Event},
    findings::{Condition, Evidence},
    signals::fork::{Cause, ForkEvidence, headroom::HeadroomEvidence},
};

pub mod cgroup;
pub mod consumers;
pub mod container;
pub mod node;
pub mod process;
pub mod subject;

use cgroup::PidsHierarchy;
use consumers::Consumers;
use subject::{Cgroup, NodeLimit, Parent, Process, Subject};

/// Cgroup paths remembered (a node has some hundred pods).
const CGROUP_CACHE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2_047);

/// Looks up who and where.
pub struct Enricher {
    hierarchy: Option<PidsHierarchy>,
    paths: LruCache<u64, Option<String>>,
    misses: u64,
}

impl Enricher {
    /// An enricher over the node's pids hierarchy, if it has one.
    #[must_use]
    pub fn new(hierarchy: Option<PidsHierarchy>) -> Self {
        Self { hierarchy, paths: LruCache::new(CGROUP_CACHE), misses: 0 }
    }

    /// Learns what may be gone when a finding fires. Cheap when nothing is new.
    pub fn remember(&mut self, event: &Event) {
        if let Some(id) = event.context.cgroup {
            self.cgroup_path(id);
        }
    }

    /// Lookups that found nothing.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// Says whom a condition is about.
    pub fn describe(&mut self, condition: &Condition) -> Subject {
        let who = &condition.who;
        let cgroup = who.context.cgroup.map(|id| self.cgroup(id));
        let path = cgroup.as_ref().and_then(|cgroup| cgroup.path.as_deref());
        let node_limit = match &condition.evidence {
            Evidence::Fork(ForkEvidence { cause: Cause::Unresolved, .. }) => node::reached_limit(),
            _ => None,
        };
        Subject {
            container_id: path.and_then(container::id).map(str::to_owned),
            limit_owner: who.limit_owner.map(|id| self.cgroup(id)),
            consumers: self.consumers(&condition.evidence, node_limit.as_ref()),
            node_limit,
            process: self.process(who.context.pid, who.context.comm, who.parent),
            netns: who.context.netns,
            interface: who.interface.clone(),
            cgroup,
        }
    }

    /// Those below the limit that the finding is about.
    fn consumers(
        &mut self,
        evidence: &Evidence,
        node_limit: Option<&NodeLimit>,
    ) -> Option<Consumers> {
        let (owner, total) = match evidence {
            Evidence::Fork(ForkEvidence { cause, .. }) => match *cause {
                Cause::PidsMax { owner, current, .. } => (Some(owner), current),
                Cause::ThreadsMax { current, .. } | Cause::PidMax { level: 0, current, .. } => {
                    (None, current)
                }
                _ => (None, node_limit?.current),
            },
            Evidence::ForkHeadroom(HeadroomEvidence { owner, current, .. }) => (*owner, *current),
            _ => return None,
        };
        let path = match owner {
            Some(id) => self.cgroup_path(id)?.to_owned(),
            None => "/".into(),
        };
        Some(consumers::below(self.hierarchy.as_ref()?, &path, total))
    }

    fn cgroup(&mut self, id: u64) -> Cgroup {
        Cgroup { id, path: self.cgroup_path(id).map(str::to_owned) }
    }

    fn process(&mut self, pid: u32, comm: Comm, parent: Option<(u32, Comm)>) -> Option<Process> {
        if pid == 0 {
            return None;
        }
        let exe = process::exe(pid);
        self.misses += u64::from(exe.is_none());
        let parent = match parent {
            Some((pid, comm)) => Some(Parent { pid, comm: comm.text() }),
            None => process::parent(pid).map(|pid| Parent { pid, comm: process::comm(pid) }),
        };
        Some(Process { pid, comm: comm.text().or_else(|| process::comm(pid)), exe, parent })
    }

    fn cgroup_path(&mut self, id: u64) -> Option<&str> {
        let (hierarchy, misses) = (&self.hierarchy, &mut self.misses);
        let path = self.paths.get_or_insert(id, || {
            let path = hierarchy.as_ref().and_then(|hierarchy| hierarchy.path_of(id));
            *misses += u64::from(path.is_none());
            path
        });
        path.as_deref()
    }
}
