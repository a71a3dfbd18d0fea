//! `[sinks.NAME.kafka]`

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::KafkaBackend;
use crate::{
    net::{AuthConfig, TlsConfig, auth::Auth},
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// A topic of Kafka, or of what speaks its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers that tell of the others, `host:port`.
    #[serde(deserialize_with = "brokers")]
    pub brokers: Vec<String>,
    #[serde(default = "topic", deserialize_with = "legal_topic")]
    pub topic: String,
    /// How `auth` is told.
    #[serde(default)]
    pub sasl: Sasl,
    /// A user and a password.
    #[serde(default)]
    pub auth: AuthConfig,
    /// Brokers are spoken to by TLS where it is there, if only as `tls = {}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Sasl {
    #[default]
    #[serde(rename = "plain")]
    Plain,
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

/// Most brokers that are given.
const MOST_BROKERS: usize = 16;
/// Longest name of a topic (characters), as Kafka has it.
const LONGEST_TOPIC: usize = 249;

fn topic() -> String {
    "nodeprobe".into()
}

fn legal_topic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let topic = String::deserialize(deserializer)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match (1..=LONGEST_TOPIC).contains(&topic.len())
        && topic.chars().all(legal)
        && !matches!(topic.as_str(), "." | "..")
    {
        true => Ok(topic),
        false => Err(D::Error::custom(format!(
            "a topic has 1 to {LONGEST_TOPIC} characters, each of them a-z, A-Z, 0-9, ., _ or -"
        ))),
    }
}

fn brokers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let brokers = Vec::<String>::deserialize(deserializer)?;
    if !(1..=MOST_BROKERS).contains(&brokers.len()) {
        let allowed = format!("{} brokers; 1 to {MOST_BROKERS} are", brokers.len());
        return Err(D::Error::custom(allowed));
    }
    match brokers.iter().find(|broker| !is_address(broker)) {
        None => Ok(brokers),
        Some(wrong) => Err(D::Error::custom(format!(
            "{wrong:?} is no host and port such as \"kafka-1.example.com:9092\""
        ))),
    }
}

fn is_address(broker: &str) -> bool {
    let host = |host: &str| host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_".contains(&c));
    let address = broker.parse::<std::net::SocketAddr>().is_ok();
    address
        || broker.rsplit_once(':').is_some_and(|(name, port)| {
            !name.is_empty() && host(name) && port.parse::<u16>().is_ok()
        })
}

impl Kind for KafkaConfig {
    const POLICY: Policy = Policy {
        // Brokers take 1 MiB of a batch unless told otherwise, and that compressed.
        most: Most { records: 500, bytes: 900 * 1024 },
        linger: Duration::from_millis(500),
        timeout: Duration::from_secs(30),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        last_words: Duration::from_secs(4),
    };

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        if matches!(self.auth, AuthConfig::Token(..)) {
            return Err("auth has a token; SASL takes a username and a password".into());
        }
        if let Some(tls) = &self.tls {
            // What is wrong with the files is told now; they are read again for each connection.
            tls.client()?;
            let any = "broker.invalid";
            if tls.server_name(any) != TlsConfig::default().server_name(any) {
                return Err(
                    "tls.server_name cannot be one name for all brokers; leave it out".into()
                );
            }
        }
        let auth = Auth::open(&self.auth)?;
        Ok(Box::new(KafkaBackend::new(self.clone(), auth, site.node.clone())))
    }
}
