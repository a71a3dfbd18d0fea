//! From kernel ids to names: processes, cgroups, pods, containers, network namespaces.
//!
//! Short-lived things are looked up while they exist: a cgroup's path and pod and a process, at
//! their first event. All else is looked up when a finding needs it. A lookup that fails is counted,
//! leaves its field empty and never drops an event. Caches are bounded.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use lru::LruCache;

use crate::{
    config::enrich::EnrichConfig,
    event::{Body, Context, Event},
    findings::{
        Condition, Evidence,
        clock::{Clock, boot_now},
    },
    kubernetes::pods::Pods,
    scarce,
    signals::{
        fork::{Cause, ForkEvidence, headroom::HeadroomEvidence},
        netlink::{NetlinkChange, birthplace},
        tc::TcChange,
    },
    symbols::Symbols,
};

pub mod cgroup;
pub mod consumers;
pub(crate) mod identity;
mod label;
pub mod misses;
mod netns;
pub mod node;
pub(crate) mod process;
pub mod read;
pub mod subject;
#[cfg(test)]
mod testing;

use cgroup::PidsHierarchy;
use consumers::Consumers;
use identity::Identities;
use misses::{Lookup, Misses};
use netns::{NetnsOwners, Sources};
use process::{Processes, proc::Proc};
use subject::{Cgroup, Identity, NetnsOwner, NodeLimit, Subject};

/// Cgroup paths remembered (a node has some hundred pods).
const CGROUP_CACHE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2_047);

/// Looks up who and where.
pub struct Enricher {
    hierarchy: Option<PidsHierarchy>,
    paths: LruCache<u64, Option<String>>,
    identities: Identities,
    processes: Processes,
    netns_owners: NetnsOwners,
    misses: Misses,
    symbols: Option<Symbols>,
    /// It knows nothing of the node but what it is told.
    offline: bool,
}

/// Below it is nothing: a file is no directory.
const NOWHERE: &str = "/dev/null";

impl Enricher {
    /// An enricher over the node's pids hierarchy, if it has one.
    #[must_use]
    pub fn new(hierarchy: Option<PidsHierarchy>, config: &EnrichConfig) -> Self {
        let proc = Proc::find(&config.host_root);
        if !proc.is_there() {
            log::warn!("no /proc of the initial pid namespace; processes stay unnamed");
        }
        Self::over(hierarchy, proc, &config.host_root, config.cmdline)
    }

    /// One for events of another node or time. It looks nothing up here, where ids mean others.
    #[must_use]
    pub fn offline() -> Self {
        let nothing = Self::over(None, Proc::absent(), Path::new(NOWHERE), false);
        Self { offline: true, ..nothing }
    }

    fn over(
        hierarchy: Option<PidsHierarchy>,
        proc: Proc,
        host_root: &Path,
        cmdlines: bool,
    ) -> Self {
        Self {
            hierarchy,
            paths: LruCache::new(CGROUP_CACHE),
            identities: Identities::new(host_root),
            processes: Processes::new(proc, cmdlines),
            netns_owners: NetnsOwners::default(),
            misses: Misses::default(),
            symbols: None,
            offline: false,
        }
    }

    /// One that also knows what the API server says of pods.
    #[must_use]
    pub fn with_pods(mut self, pods: Option<Arc<Pods>>) -> Self {
        self.identities.ask(pods);
        self
    }

    /// Takes the path of a cgroup from elsewhere.
    pub fn learn_cgroup(&mut self, id: u64, path: String) {
        self.paths.put(id, Some(path));
    }

    /// One that also knows the names of functions.
    #[must_use]
    pub fn with_symbols(self, symbols: Symbols) -> Self {
        Self { symbols: Some(symbols), ..self }
    }

    /// Learns what may be gone when a finding fires. Cheap when nothing is new.
    pub fn remember(&mut self, event: &Event) {
        // What a poller tells of is there, and will be told of again.
        if self.offline || matches!(event.body, Body::Polled(_)) {
            return;
        }
        let Context { at, pid, cgroup, .. } = event.context;
        if let Some(id) = cgroup.filter(|id| !self.paths.contains(id)) {
            self.identity_of(id);
        }
        let now = boot_now();
        self.processes.remember(pid, at, now, &mut self.misses);
        // The hand is gone in a moment, whose hand it is stays.
        let starter = match &event.body {
            Body::Tc(TcChange::Request(request)) => request.started_by,
            Body::Firewall(write) => write.started_by,
            _ => None,
        };
        if let Some((parent, _)) = starter {
            self.processes.remember(parent, at, now, &mut self.misses);
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
    pub fn misses(&self) -> &Misses {
        &self.misses
    }

    /// What a cgroup belongs to, by its path below the hierarchy's mount point. Reads files of the
    /// node at the first sight of a pod or container, and nothing after that.
    pub fn identity_of_path(&mut self, path: &str) -> Identity {
        self.identities.of_path(path, &mut self.misses)
    }

    /// Says whom a condition is about.
    pub fn describe(&mut self, condition: &Condition) -> Subject {
        let who = &condition.who;
        // A condition may know no event, only a moment.
        let at = if who.context.at == 0 { condition.at } else { who.context.at };
        let context = Context { at, ..who.context };
        let cgroup = context.cgroup.map(|id| self.cgroup(id));
        let identity = match cgroup.as_ref().and_then(|cgroup| cgroup.path.as_deref()) {
            Some(path) => self.identities.of_path_again(path, &mut self.misses),
            None => Identity::default(),
        };
        let node_limit = match &condition.evidence {
            Evidence::Fork(ForkEvidence { cause: Cause::Unresolved, .. }) if !self.offline => {
                node::reached_limit()
            }
            _ => None,
        };
        let (clock, misses) = (Clock::now(), &mut self.misses);
        Subject {
            process: self.processes.describe(&context, who.parent, clock, misses),
            limit_owner: who.limit_owner.map(|id| self.cgroup(id)),
            consumers: self.consumers(&condition.evidence, node_limit.as_ref()),
            node_limit,
            netns_owner: context.netns.and_then(|netns| self.netns_owner(netns, &context)),
            netns: context.netns,
            interface: who.interface.clone(),
            identity,
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
        let hierarchy = self.hierarchy.as_ref()?;
        // The most of those that could be read need not be the most.
        let mut consumers = scarce::whole(|| Some(consumers::below(hierarchy, &path, total)))?;
        for consumer in &mut consumers.groups {
            consumer.identity = self.identity_of_path(&consumer.path);
        }
        Some(consumers)
    }

    fn netns_owner(&mut self, netns: u32, context: &Context) -> Option<NetnsOwner> {
        let mut sources = Sources {
            proc: self.processes.proc(),
            hierarchy: self.hierarchy.as_ref(),
            identities: &mut self.identities,
            misses: &mut self.misses,
        };
        let owner = self.netns_owners.owner(netns, context.at, boot_now(), &mut sources);
        if owner.is_none() {
            self.misses.count(Lookup::Netns);
        }
        owner
    }

    fn cgroup(&mut self, id: u64) -> Cgroup {
        Cgroup { id, path: self.cgroup_path(id).map(str::to_owned) }
    }

    fn identity_of(&mut self, id: u64) {
        if let Some(path) = self.cgroup_path(id).map(str::to_owned) {
            self.identity_of_path(&path);
        }
    }

    /// Path of a cgroup below the hierarchy's mount point.
    pub fn cgroup_path(&mut self, id: u64) -> Option<&str> {
        if !self.paths.contains(&id) {
            let look = || self.hierarchy.as_ref().and_then(|hierarchy| hierarchy.path_of(id));
            let (path, refused) = scarce::watch(look);
            if path.is_none() {
                self.misses.count(Lookup::Cgroup);
            }
            if refused.is_some() {
                return None;
            }
            self.paths.put(id, path);
        }
        self.paths.get(&id)?.as_deref()
    }
}
