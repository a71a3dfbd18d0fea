//! From kernel ids to names: processes, cgroups, containers.
//!
//! Ids of short-lived things are looked up while they exist: a cgroup's path at its first event.
//! All else is looked up when a finding needs it. A lookup that fails is counted, leaves its field
//! empty and never drops an event. Caches are bounded.

use std::num::NonZeroUsize;

use lru::LruCache;

use crate::{
    event::{Body, Comm, Event},
    findings::{Condition, Evidence},
    signals::{
        fork::{Cause, ForkEvidence},
        netlink::{NetlinkChange, birthplace},
    },
    symbols::Symbols,
};

pub mod cgroup;
pub mod container;
pub mod node;
pub mod process;
pub mod subject;

use cgroup::PidsHierarchy;
use subject::{Cgroup, Parent, Process, Subject};

/// Cgroup paths remembered (a node has some hundred pods).
const CGROUP_CACHE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2_047);

/// Looks up who and where.
pub struct Enricher {
    hierarchy: Option<PidsHierarchy>,
    paths: LruCache<u64, Option<String>>,
    misses: u64,
    symbols: Option<Symbols>,
}

impl Enricher {
    /// An enricher over the node's pids hierarchy, if it has one.
    #[must_use]
    pub fn new(hierarchy: Option<PidsHierarchy>) -> Self {
        Self { hierarchy, paths: LruCache::new(CGROUP_CACHE), misses: 0, symbols: None }
    }

    /// One that also knows the names of functions.
    #[must_use]
    pub fn with_symbols(self, symbols: Symbols) -> Self {
        Self { symbols: Some(symbols), ..self }
    }

    /// Learns what may be gone when a finding fires. Cheap when nothing is new.
    pub fn remember(&mut self, event: &Event) {
        if let Some(id) = event.context.cgroup {
            self.cgroup_path(id);
        }
        if let Body::Netlink(NetlinkChange::Opened { birth, .. }) = event.body
            && let (Some(site), Some(symbols)) = (birth.site(event.context.pid), &mut self.symbols)
        {
            // Begins the look-up, while the process lives.
            symbols.look(site);
        }
    }

    /// Names the places in programs that a condition is about. `false` when some names are still
    /// being looked up.
    pub fn name_places(&mut self, condition: &mut Condition) -> bool {
        let (Evidence::Netlink(evidence), Some(symbols)) =
            (&mut condition.evidence, &mut self.symbols)
        else {
            return true;
        };
        let pid = condition.who.context.pid;
        // All of them are asked for, also behind one that is not known yet.
        let mut named = true;
        for place in &mut evidence.birthplaces {
            named &= place.name(pid, symbols);
        }
        birthplace::merge(&mut evidence.birthplaces);
        named
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
        let unresolved = match &condition.evidence {
            Evidence::Fork(ForkEvidence { cause, .. }) => *cause == Cause::Unresolved,
            Evidence::Tc(_) | Evidence::Netlink(_) => false,
        };
        Subject {
            container_id: path.and_then(container::id).map(str::to_owned),
            limit_owner: who.limit_owner.map(|id| self.cgroup(id)),
            node_limit: unresolved.then(node::reached_limit).flatten(),
            process: self.process(who.context.pid, who.context.comm, who.parent),
            netns: who.context.netns,
            interface: who.interface.clone(),
            cgroup,
        }
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
