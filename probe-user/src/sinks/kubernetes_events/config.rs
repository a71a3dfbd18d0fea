//! `[sinks.NAME.kubernetes_events]`

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::{EventsBackend, REMEMBERED, budget::Budget};
use crate::{
    config::kubernetes::KubernetesConfig,
    kubernetes::write::Writer,
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// What a role must allow it: an Event that is not there yet is created by a patch.
const NEEDS: &str = "create and patch events of the API group \"\", in all namespaces";

/// Events of Kubernetes: the API server, as `[kubernetes]` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct KubernetesEventsConfig(KubernetesConfig);

impl Kind for KubernetesEventsConfig {
    /// An Event is a request of its own.
    const POLICY: Policy =
        Policy { most: Most { records: 100, ..Policy::NETWORK.most }, ..Policy::NETWORK };

    fn open(&self, _: &Site) -> Result<Box<dyn Backend>, String> {
        Ok(Box::new(EventsBackend {
            writer: Writer::new(&self.0, NEEDS)?,
            told: LruCache::new(REMEMBERED),
            budget: Budget::default(),
        }))
    }
}
