//! What the API server said of pods, also of those that are gone.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use crate::enrich::subject::{Pod, Workload};

/// Pods remembered; a node has some hundred at a time.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(2_047);

/// What is known of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub namespace: String,
    pub name: String,
    pub owner: Option<Workload>,
}

/// Pods by the uid that the kubelet has for them.
pub struct Pods(Mutex<LruCache<Box<str>, Known>>);

impl Default for Pods {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl Pods {
    /// Takes what is said of a pod. Who owns it is not forgotten when that cannot be told again.
    pub fn learn(&self, uid: &str, mut known: Known) {
        let mut pods = self.lock();
        if known.owner.is_none() {
            known.owner = pods.peek(uid).and_then(|before| before.owner.clone());
        }
        pods.put(uid.into(), known);
    }

    /// Fills in what a pod has not yet. Waits for nothing but another look or one pod's learning.
    pub fn tell(&self, pod: &mut Pod) {
        if pod.name.is_some() && pod.owner.is_some() {
            return;
        }
        let mut pods = self.lock();
        let Some(known) = pods.get(pod.uid.as_str()) else { return };
        if pod.name.is_none() {
            pod.name = Some(known.name.clone());
            pod.namespace = Some(known.namespace.clone());
        }
        pod.owner = pod.owner.take().or_else(|| known.owner.clone());
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Box<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(owner: Option<&str>) -> Known {
        let owner = owner.map(|name| Workload { kind: "Deployment".into(), name: name.into() });
        Known { namespace: "shop".into(), name: "web-0".into(), owner }
    }

    #[test]
    fn what_is_known_is_not_lost() {
        let pods = Pods::default();
        pods.learn("u1", known(Some("web")));
        pods.learn("u1", known(None));
        let mut pod = Pod { uid: "u1".into(), ..Pod::default() };
        pods.tell(&mut pod);
        assert_eq!((pod.name.as_deref(), pod.namespace.as_deref()), (Some("web-0"), Some("shop")));
        assert_eq!(pod.owner.unwrap().name, "web");
        let mut other = Pod { uid: "u2".into(), ..Pod::default() };
        pods.tell(&mut other);
        assert_eq!(other.name, None);
    }

    #[test]
    fn it_is_bounded() {
        let pods = Pods::default();
        (0..5_000).for_each(|n| pods.learn(&format!("u{n}"), known(None)));
        assert_eq!(pods.len(), REMEMBERED.get());
    }
}
