//! The registry of sinks that are configured: what `[sinks.NAME]` may hold.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Backend, Policy, alertmanager, elasticsearch, file, journald, kafka, kubernetes_conditions,
    kubernetes_events, loki, nats, otlp, syslog, webhook,
};
use crate::config::{
    sinks::{BatchConfig, FilterConfig},
    spool::SinkSpoolConfig,
};

/// What a kind of sink is told of its surroundings.
#[derive(Clone, Debug)]
pub struct Site {
    /// Name of the sink.
    pub sink: &'static str,
    /// Name of the node, as backends file its records.
    pub node: String,
}

/// A kind of sink: its settings, and how it comes to life.
pub trait Kind: Clone + DeserializeOwned + Serialize {
    /// How it goes about it where nothing else is configured.
    const POLICY: Policy;

    /// Whether its findings are written to a spool if nothing else is configured: where the other side
    /// is another machine, which can be away.
    const SPOOLED: bool = true;

    /// Opens it. Whether the other side is there is not asked yet.
    ///
    /// # Errors
    /// What is wrong with the settings, for whoever wrote them.
    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String>;
}

macro_rules! kinds {
    ($($(#[doc = $help:literal])+ $name:ident: $config:ty),+ $(,)?) => {
        /// Every kind of sink.
        pub const KINDS: &[&str] = &[$(stringify!($name)),+];

        /// `[sinks.NAME]`: what is the same for all, and a table named by its kind.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct SinkConfig {
            pub filter: FilterConfig,
            pub batch: BatchConfig,
            pub spool: SinkSpoolConfig,
            $(
                $(#[doc = $help])+
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $name: Option<$config>,
            )+
        }

        impl SinkConfig {
            /// The kinds that it has a table for: one, if it is right.
            #[must_use]
            pub fn kinds(&self) -> Vec<&'static str> {
                let mut kinds = Vec::new();
                $(if self.$name.is_some() { kinds.push(stringify!($name)); })+
                kinds
            }

            /// How it goes about it: as its kind does, but for what is configured.
            #[must_use]
            pub fn policy(&self) -> Option<Policy> {
                $(if self.$name.is_some() { return Some(self.batch.over(<$config as Kind>::POLICY)); })+
                None
            }

            /// Whether it has a spool.
            #[must_use]
            pub fn is_spooled(&self) -> bool {
                let usual = false $(|| (self.$name.is_some() && <$config as Kind>::SPOOLED))+;
                self.spool.enabled.unwrap_or(usual)
            }

            /// Opens it.
            ///
            /// # Errors
            /// What is wrong with its settings.
            pub fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
                $(if let Some(config) = &self.$name { return config.open(site); })+
                Err(format!("it has no table of a kind; there are {}", KINDS.join(", ")))
            }
        }
    };
}

kinds! {
    /// Alerts, by the API of Alertmanager.
    alertmanager: alertmanager::config::AlertmanagerConfig,
    /// Documents of Elasticsearch or OpenSearch, by their bulk API.
    elasticsearch: elasticsearch::config::ElasticsearchConfig,
    /// Lines of JSON in a file.
    file: file::config::FileConfig,
    /// Entries of the journal of systemd.
    journald: journald::config::JournaldConfig,
    /// A topic of Kafka, or of what speaks its protocol.
    kafka: kafka::config::KafkaConfig,
    /// Conditions of the Kubernetes node.
    kubernetes_conditions: kubernetes_conditions::config::KubernetesConditionsConfig,
    /// Events of Kubernetes, on the pods and the node that findings are about.
    kubernetes_events: kubernetes_events::config::KubernetesEventsConfig,
    /// Log lines, by the push API of Loki.
    loki: loki::config::LokiConfig,
    /// NATS JetStream.
    nats: nats::config::NatsConfig,
    /// OpenTelemetry logs, by OTLP.
    otlp: otlp::config::OtlpConfig,
    /// Messages of RFC 5424 to a syslog server.
    syslog: syslog::config::SyslogConfig,
    /// JSON by HTTP POST.
    webhook: webhook::config::WebhookConfig,
}
