//! The pods of this node as the API server knows them: their owners, and the names that the node itself
//! does not have. Asked on a thread of its own; findings take what is known by then and wait for nothing.
//! Sinks write to the server by [`write`].

use std::{io, sync::Arc};

use thiserror::Error;

use crate::{
    config::kubernetes::KubernetesConfig,
    kernel::capability,
    metrics::Metrics,
    sinks::runtime,
    supervise::{End, Part, Supervisor},
};

mod api;
mod follow;
mod lines;
mod object;
pub mod pods;
pub mod write;

use api::Api;
use follow::Follower;
use pods::Pods;

/// The thread that follows.
const PART: Part = Part {
    name: "kubernetes",
    end: End::Any,
    help: "owners of pods stay unknown: start nodeprobe again",
    turns: None,
};

/// Stack of the thread (bytes): TLS and JSON.
const STACK: usize = 256 * 1024;

/// The pods that an answer tells of: a page of a list, or lines of a watch.
#[cfg(any(test, fuzzing))]
pub(crate) fn taken_from(answer: &[u8]) -> Pods {
    let pods = Pods::default();
    let page = serde_json::from_slice::<object::List>(answer);
    let lines = answer.split(|byte| *byte == b'\n');
    let changes = lines.filter_map(|line| serde_json::from_slice::<object::Change>(line).ok());
    let objects = page.into_iter().flat_map(|page| page.items);
    for object in objects.chain(changes.map(|change| change.object)) {
        if object.metadata.is_named() {
            pods.learn(object.metadata.uid(), object.metadata.known());
        }
    }
    pods
}

/// Why it cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("the API server cannot be asked for pods: {0}")]
    Settings(String),
    #[error(
        "kubernetes cannot start: {0}; is the node, or the cgroup, at a limit of tasks or fds?"
    )]
    Thread(#[from] io::Error),
}

/// Begins to follow, where there is a server to ask.
///
/// # Errors
/// When the settings are wrong, or the thread cannot be made.
pub fn start(
    config: &KubernetesConfig,
    metrics: &Metrics,
    supervisor: &mut Supervisor,
) -> Result<Option<Arc<Pods>>, StartError> {
    let Some(place) = config.place().map_err(StartError::Settings)? else { return Ok(None) };
    let api = Api::new(&place).map_err(StartError::Settings)?;
    let pods = Arc::<Pods>::default();
    let follower = Follower::new(api, Arc::clone(&pods), metrics.kubernetes.clone());
    let runtime = runtime::of(false)?;
    supervisor.thread(PART, STACK, move |_| {
        // It speaks to the network, and needs no more for that than a sink.
        capability::give_up_in_sink()?;
        runtime.block_on(follower.follow());
        Ok(())
    })?;
    Ok(Some(pods))
}
