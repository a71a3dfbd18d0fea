//! `[sinks.NAME.kubernetes_conditions]`

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{ConditionsBackend, condition::Condition, table::CONDITIONS};
use crate::{
    config::kubernetes::KubernetesConfig,
    kubernetes::write::Writer,
    sinks::{Backend, Kind, Policy, kinds::Site},
};

/// What a role must allow it.
const NEEDS: &str = "patch nodes/status of the API group \"\"";

/// Conditions of the Kubernetes node: the API server, as `[kubernetes]` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct KubernetesConditionsConfig(KubernetesConfig);

impl Kind for KubernetesConditionsConfig {
    const POLICY: Policy = Policy::NETWORK;

    /// What holds is told by an agent that runs: one that starts has found nothing yet.
    const SPOOLED: bool = false;

    fn open(&self, _: &Site) -> Result<Box<dyn Backend>, String> {
        Ok(Box::new(ConditionsBackend {
            writer: Writer::new(&self.0, NEEDS)?,
            conditions: CONDITIONS.iter().map(Condition::of).collect(),
            is_read: false,
            due: Instant::now(),
        }))
    }
}
