//! Configuration: a TOML file, every key optional, flags of the command line over it.

use serde::{Deserialize, Serialize};

pub mod canary;
pub mod enrich;
pub mod events;
pub mod fd;
pub mod findings;
pub mod firewall;
pub mod fixed;
pub mod fork;
pub mod kubernetes;
pub mod load;
pub mod metrics;
pub mod netlink;
pub mod rtnl;
pub mod settings;
pub mod sinks;
pub mod span;
pub mod spool;
pub mod tc;

pub use metrics::Listen;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub output: OutputConfig,
    #[serde(skip_serializing_if = "sinks::SinksConfig::is_empty")]
    pub sinks: sinks::SinksConfig,
    pub events: events::EventsConfig,
    pub spool: spool::SpoolConfig,
    pub metrics: metrics::MetricsConfig,
    pub canary: canary::CanaryConfig,
    pub enrich: enrich::EnrichConfig,
    pub kubernetes: kubernetes::KubernetesConfig,
    pub findings: findings::FindingsConfig,
    pub tc: tc::TcConfig,
    pub fork: fork::ForkConfig,
    pub netlink: netlink::NetlinkConfig,
    pub rtnl: rtnl::RtnlConfig,
    pub fd: fd::FdConfig,
    pub firewall: firewall::FirewallConfig,
}

/// Where findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    #[default]
    Stdout,
    Stderr,
    /// Nowhere: there are sinks for that.
    None,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `human` on a terminal, `json` otherwise.
    #[default]
    Auto,
    /// A few lines a finding.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[output]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    pub format: Format,
    pub to: To,
}
