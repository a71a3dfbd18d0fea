//! Records as messages of a topic of Kafka, those of a node all in one partition, so that they stay in
//! their order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rskafka::{
    BackoffConfig,
    client::{
        ClientBuilder, Credentials, SaslConfig,
        error::Error,
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
};

use super::{
    Backend,
    backend::{Answer, Reason, Sending},
    record::Record,
};
use crate::net::auth::Auth;

pub mod config;
pub mod encode;
pub mod outcome;

use config::{KafkaConfig, Sasl};

/// Longest answer of a broker that is read (bytes): the largest lists all topics of the cluster.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

/// How long connections are kept that nothing is sent on: brokers, and what is in between, end them.
const IDLE: Duration = Duration::from_secs(60);

/// A topic.
pub struct KafkaBackend {
    config: KafkaConfig,
    auth: Auth,
    node: String,
    /// The partition of this node, and when it was used last. Taken out while it is in use: where
    /// something fails, the brokers are asked anew who leads it.
    partition: Option<(PartitionClient, Instant)>,
}

impl KafkaBackend {
    /// Produces to the topic of `config`.
    #[must_use]
    pub fn new(config: KafkaConfig, auth: Auth, node: String) -> Self {
        Self { config, auth, node, partition: None }
    }

    async fn produce(&mut self, batch: &[Arc<Record>]) -> Answer {
        let partition = match self.partition().await {
            Ok(partition) => partition,
            Err(answer) => return answer,
        };
        let messages = encode::messages(&self.node, batch);
        // It waits for all replicas that are in sync (acks = -1).
        match partition.produce(messages, Compression::Zstd).await {
            Ok(offsets) => {
                let said = match offsets.last() {
                    Some(last) => format!("partition {} up to {last}", partition.partition()),
                    None => "nothing to take".into(),
                };
                self.partition = Some((partition, Instant::now()));
                Answer::Taken { said }
            }
            Err(error) => outcome::judged(&error, &self.config.topic),
        }
    }

    async fn partition(&mut self) -> Result<PartitionClient, Answer> {
        if let Some((partition, used)) = self.partition.take()
            && used.elapsed() < IDLE
        {
            return Ok(partition);
        }
        let topic = &self.config.topic;
        let failed = |error: Error| outcome::judged(&error, topic);
        // Who calls tries again, and knows how long to wait.
        let backoff = BackoffConfig { deadline: Some(Duration::ZERO), ..BackoffConfig::default() };
        let mut builder = ClientBuilder::new(self.config.brokers.clone())
            .client_id("nodeprobe")
            .max_message_size(LONGEST_ANSWER)
            .backoff_config(backoff);
        if let Some(tls) = &self.config.tls {
            let tls = tls.client().map_err(|why| Answer::later(Reason::Tls, why))?;
            builder = builder.tls_config(Arc::new(tls));
        }
        if let Some(sasl) = sasl(self.config.sasl, &mut self.auth) {
            builder = builder.sasl_config(sasl);
        }
        let client = builder.build().await.map_err(failed)?;
        let topics = client.list_topics().await.map_err(failed)?;
        let found = topics.into_iter().find(|found| found.name == *topic);
        let partitions: Vec<i32> = found.into_iter().flat_map(|topic| topic.partitions).collect();
        let chosen = encode::partition(self.node.as_bytes(), partitions.len());
        let chosen = partitions.get(chosen).ok_or_else(|| outcome::unknown(topic))?;
        let handling = UnknownTopicHandling::Error;
        client.partition_client(topic.as_str(), *chosen, handling).await.map_err(failed)
    }
}

fn sasl(mechanism: Sasl, auth: &mut Auth) -> Option<SaslConfig> {
    let Auth::Basic(user, password) = auth else { return None };
    let password = password.secret().reveal().to_owned();
    let credentials = Credentials::new(user.clone(), password);
    Some(match mechanism {
        Sasl::Plain => SaslConfig::Plain(credentials),
        Sasl::ScramSha256 => SaslConfig::ScramSha256(credentials),
        Sasl::ScramSha512 => SaslConfig::ScramSha512(credentials),
    })
}

impl Backend for KafkaBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(self.produce(batch))
    }

    fn looks_up(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
