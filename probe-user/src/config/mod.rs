//! Configuration: a TOML file, every key optional, flags of the command line over it.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub mod canary;
pub mod enrich;
pub mod events;
pub mod fd;
pub mod findings;
pub mod fixed;
pub mod fork;
pub mod load;
pub mod netlink;
pub mod rtnl;
pub mod settings;
pub mod sinks;
pub mod span;
pub mod spool;
pub mod tc;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub output: OutputConfig,
    #[serde(skip_serializing_if = "sinks::SinksConfig::is_empty")]
    pub sinks: sinks::SinksConfig,
    pub events: events::EventsConfig,
    pub spool: spool::SpoolConfig,
    pub metrics: MetricsConfig,
    pub canary: canary::CanaryConfig,
    pub enrich: enrich::EnrichConfig,
    pub findings: findings::FindingsConfig,
    pub tc: tc::TcConfig,
    pub fork: fork::ForkConfig,
    pub netlink: netlink::NetlinkConfig,
    pub rtnl: rtnl::RtnlConfig,
    pub fd: fd::FdConfig,
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

/// `[metrics]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    pub listen: Listen,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: Listen::At(SocketAddr::from(([127, 0, 0, 1], 9477))) }
    }
}

/// Where metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    At(SocketAddr),
    /// Not at all.
    None,
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            address => address.parse().map(Self::At).map_err(|_| {
                format!("{text:?} is not an address and port such as 127.0.0.1:9477, nor \"none\"")
            }),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        match listen {
            Listen::At(address) => address.to_string(),
            Listen::None => "none".into(),
        }
    }
}
