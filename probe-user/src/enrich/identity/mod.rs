//! From the path of a cgroup to its pod and container, without any API: the ids are in the path,
//! the names in files that the kubelet and the container runtime keep on the node. Where one is asked, the
//! API server knows pods too, and alone who owns them.

use std::{num::NonZeroUsize, path::Path, sync::Arc};

use lru::LruCache;

use super::{
    misses::{Lookup, Misses},
    subject::Identity,
};
use crate::{kubernetes::pods::Pods, scarce};

mod kubelet;
pub mod path;
mod runtime;

/// Identities remembered, also of what is gone (a node has some hundred containers).
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2_047);

/// Identities by the path of the cgroup.
pub struct Identities {
    host_root: Box<Path>,
    known: LruCache<Box<str>, Identity>,
    pods: Option<Arc<Pods>>,
}

impl Identities {
    /// Looks names up below the directory where the node's root is mounted.
    #[must_use]
    pub fn new(host_root: &Path) -> Self {
        Self { host_root: host_root.into(), known: LruCache::new(REMEMBERED), pods: None }
    }

    /// Takes what the API server says of pods from here.
    pub fn ask(&mut self, pods: Option<Arc<Pods>>) {
        self.pods = pods;
    }

    /// What a cgroup belongs to. Names are looked up once, while they are to be had: at the first
    /// sight of a path.
    pub fn of_path(&mut self, path: &str, misses: &mut Misses) -> Identity {
        if let Some(identity) = self.known.get_mut(path) {
            told(self.pods.as_deref(), identity);
            return identity.clone();
        }
        let mut identity = path::parse(path);
        let ((), refused) = scarce::watch(|| self.name(&mut identity, misses));
        if refused.is_none() {
            self.known.put(path.into(), identity.clone());
        }
        identity
    }

    /// As [`Self::of_path`], and looks again for the names that were not there yet.
    pub fn of_path_again(&mut self, path: &str, misses: &mut Misses) -> Identity {
        let mut identity = self.of_path(path, misses);
        if missing(&identity).next().is_some() {
            self.name(&mut identity, misses);
            self.known.put(path.into(), identity.clone());
        }
        identity
    }

    /// Fills in names: the runtime knows all of them, the kubelet's directories most.
    fn name(&self, identity: &mut Identity, misses: &mut Misses) {
        if missing(identity).next().is_none() {
            return;
        }
        runtime::name(&self.host_root, identity);
        if missing(identity).next().is_some() {
            kubelet::name(&self.host_root, identity);
        }
        told(self.pods.as_deref(), identity);
        missing(identity).for_each(|lookup| misses.count(lookup));
    }
}

/// Fills in what the API server knows of its pod by now.
fn told(pods: Option<&Pods>, identity: &mut Identity) {
    if let (Some(pods), Some(pod)) = (pods, &mut identity.pod) {
        pods.tell(pod);
    }
}

/// The names an identity should have and has not.
fn missing(identity: &Identity) -> impl Iterator<Item = Lookup> {
    let pod = identity.pod.as_ref().is_some_and(|pod| pod.name.is_none());
    let container = identity.container.as_ref().is_some_and(|container| container.name.is_none());
    let lookups = [(pod, Lookup::Pod), (container, Lookup::Container)];
    lookups.into_iter().filter_map(|(missing, lookup)| missing.then_some(lookup))
}

#[cfg(test)]
mod tests;
