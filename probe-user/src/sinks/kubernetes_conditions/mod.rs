//! Conditions of the Kubernetes node, as node-problem-detector sets them: whether a finding of some rules fires.
//! The agent that runs says it, and says it again every few minutes, so that one who looks sees how old it is.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Backend,
    backend::{Answer, Reason, Sending},
    record::Record,
};
use crate::kubernetes::write::{MANAGER, Patch, Wanted, Writer, part};

mod condition;
pub mod config;
pub mod table;

use condition::{Condition, Known};

/// Between two times that the node is told what it has already: as often as the kubelet does.
const HEARTBEAT: Duration = Duration::from_secs(5 * 60);

/// The far side of conditions.
pub struct ConditionsBackend {
    writer: Writer,
    conditions: Vec<Condition>,
    /// Whether it is known what the node had before this agent.
    is_read: bool,
    /// When the node is told next, whatever happens until then.
    due: Instant,
}

/// A node, as far as it is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    status: NodeStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    conditions: Vec<Known>,
}

impl ConditionsBackend {
    async fn tell(&mut self, batch: &[Arc<Record>]) -> Result<(), Answer> {
        let now = Timestamp::now();
        batch.iter().for_each(|record| self.conditions.iter_mut().for_each(|one| one.hear(record)));
        self.conditions.iter_mut().for_each(|condition| condition.look(now));
        if !self.is_read {
            // Who may patch a node may read it so, and needs no further right. It changes nothing.
            let reply = self.patch(Wanted::Object, &json!({"status": {}})).await?;
            let Node { status } = serde_json::from_slice(&reply).map_err(|error| {
                Answer::later(Reason::Protocol, format!("its answer is no node: {error}"))
            })?;
            self.conditions.iter_mut().for_each(|condition| condition.recall(&status.conditions));
            self.is_read = true;
            // A test record must not say for the running agent that nothing holds. The rest comes at once.
            if !batch.is_empty() {
                return Ok(());
            }
        }
        if Instant::now() < self.due && !self.conditions.iter().any(Condition::is_news) {
            return Ok(());
        }
        let conditions: Vec<Value> = self.conditions.iter().map(|one| one.encode(now)).collect();
        self.patch(Wanted::Metadata, &json!({"status": {"conditions": conditions}})).await?;
        self.conditions.iter_mut().for_each(Condition::is_told);
        self.due = Instant::now() + HEARTBEAT;
        Ok(())
    }

    async fn patch(&mut self, wanted: Wanted, body: &Value) -> Result<bytes::Bytes, Answer> {
        let node = part(&self.writer.node);
        let path = format!("/api/v1/nodes/{node}/status?fieldManager={MANAGER}");
        let reply = self.writer.patch(&path, Patch::StrategicMerge, wanted, body).await;
        reply.map(|reply| reply.body).map_err(|answer| match answer {
            // The node may not be there yet; and what it has is not refused for good.
            Answer::Refused(why) | Answer::TooLarge(why) => {
                Answer::later(Reason::Other, format!("{why}; is the node's name right?"))
            }
            answer => answer,
        })
    }
}

impl Backend for ConditionsBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let told = self.tell(batch).await;
            let words: Vec<_> = self.conditions.iter().map(Condition::words).collect();
            let said = format!("node {}: {}", self.writer.node, words.join(", "));
            told.map_or_else(|answer| answer, |()| Answer::Taken { said })
        })
    }

    fn due(&self) -> Option<Instant> {
        Some(self.due)
    }
}

#[cfg(test)]
mod tests;
