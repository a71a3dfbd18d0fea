//! Follows the pods of the node: reads the list, watches it change, and begins anew when that breaks.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use lru::LruCache;
use tokio::time::{sleep, timeout};

use super::{
    api::{Api, Failure, WATCH_SECONDS, no_protocol},
    object::{Change, Meta},
    pods::Pods,
};
use crate::{
    enrich::subject::Workload,
    metrics::kubernetes::KubernetesMetrics,
    scarce::Want,
    sinks::{
        backend::{Reason, Trouble},
        pauses::Pauses,
    },
};

/// Longest time for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Longest time without a line on a watch: beyond its own end, so that a server that hangs is left.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS + 30);
/// Pauses between tries: short enough for a server that restarts, long enough for 5,000 nodes.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// Jobs of which it is remembered who owns them.
const JOBS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
/// Pages of a list at most: of fifty pods.
const MOST_PAGES: usize = 100;

/// Who follows.
pub struct Follower {
    api: Api,
    pods: Arc<Pods>,
    metrics: KubernetesMetrics,
    jobs: LruCache<(String, String), Option<Workload>>,
    pauses: Pauses,
    want: Want,
}

impl Follower {
    /// One that has asked for nothing yet.
    #[must_use]
    pub fn new(api: Api, pods: Arc<Pods>, metrics: KubernetesMetrics) -> Self {
        let [first, longest] = PAUSES;
        let (jobs, pauses) = (LruCache::new(JOBS), Pauses::new(first, longest));
        Self { api, pods, metrics, jobs, pauses, want: Want::of("kubernetes") }
    }

    /// Follows without end.
    pub async fn follow(mut self) {
        loop {
            let trouble = self.once().await;
            self.metrics.watching.set(0);
            if let Failure::Trouble(Trouble { reason, text }) = trouble {
                self.metrics.failed(reason);
                self.want.fails(&std::io::Error::other(format!("{}: {text}", self.api.url())));
            }
            sleep(self.pauses.next(None)).await;
        }
    }

    /// Reads the list and watches it until that breaks.
    async fn once(&mut self) -> Failure {
        let mut version = match self.list().await {
            Ok(version) => version,
            Err(failure) => return failure,
        };
        loop {
            match self.watch(version).await {
                Ok(newer) => version = newer,
                Err(failure) => return failure,
            }
        }
    }

    /// Returns the version of the list.
    async fn list(&mut self) -> Result<String, Failure> {
        let mut from = String::new();
        for _ in 0..MOST_PAGES {
            let page = in_time(self.api.page(&from)).await?;
            for object in &page.items {
                self.learn(&object.metadata).await;
            }
            if page.metadata.r#continue.is_empty() {
                self.metrics.pods.set(self.pods.len().try_into().unwrap_or(i64::MAX));
                return Ok(page.metadata.resource_version);
            }
            from = page.metadata.r#continue;
        }
        Err(no_protocol("its list of pods has no end").into())
    }

    /// Watches until the server ends it; returns the version of the list then.
    async fn watch(&mut self, mut version: String) -> Result<String, Failure> {
        let mut lines = in_time(self.api.watch(&version)).await?;
        self.metrics.watching.set(1);
        self.want.works();
        self.pauses.reset();
        loop {
            let line = timeout(SILENCE, lines.next()).await.map_err(|_| late())??;
            let Some(line) = line else { return Ok(version) };
            let change: Change =
                serde_json::from_slice(&line).map_err(|error| no_protocol(&error.to_string()))?;
            match (change.kind.as_str(), change.object.code) {
                ("ERROR", 410) => return Err(Failure::Gone),
                ("ERROR", code) => {
                    let why = format!("{code} {}", change.object.message);
                    return Err(no_protocol(&why).into());
                }
                ("BOOKMARK", _) => {}
                _ => {
                    self.learn(&change.object.metadata).await;
                    self.metrics.pods.set(self.pods.len().try_into().unwrap_or(i64::MAX));
                }
            }
            version = change.object.metadata.resource_version;
        }
    }

    async fn learn(&mut self, meta: &Meta) {
        if !meta.is_named() {
            return;
        }
        let mut known = meta.known();
        if let Some(owner) = known.owner.take_if(|owner| owner.kind == "Job") {
            let cron = self.owner_of_job(&known.namespace, &owner.name).await;
            known.owner = Some(cron.unwrap_or(owner));
        }
        self.pods.learn(meta.uid(), known);
    }

    /// Asked once for each Job: it is the same for all of its life. Who may not ask knows the Job.
    async fn owner_of_job(&mut self, namespace: &str, name: &str) -> Option<Workload> {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(owner) = self.jobs.get(&key) {
            return owner.clone();
        }
        let owner = match in_time(self.api.job(namespace, name)).await {
            Ok(job) => job.metadata.owner(),
            Err(Failure::Trouble(Trouble { reason, .. })) => {
                self.metrics.failed(reason);
                None
            }
            Err(Failure::Gone) => None,
        };
        self.jobs.put(key, owner.clone());
        owner
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(ANSWER, asking).await.map_err(|_| late())?
}

fn late() -> Trouble {
    Trouble { reason: Reason::Timeout, text: "it does not answer in time".into() }
}

#[cfg(test)]
mod tests;
