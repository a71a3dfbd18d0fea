//! `[metrics]`

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where metrics are served, to whom, and what they cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    pub listen: Listen,
    /// Certificates (PEM, the endpoint's own first); with it the endpoint speaks TLS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// The key (PEM) of the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// A file whose first line is the bearer token that /metrics asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Whether the kernel counts time and runs of programs, for as long as the agent runs.
    pub bpf_stats: bool,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: Listen::At(SocketAddr::from(([127, 0, 0, 1], 9477))),
            tls_cert: None,
            tls_key: None,
            token_file: None,
            bpf_stats: false,
        }
    }
}

impl MetricsConfig {
    /// A key that lacks another one: its name, and what is wrong.
    #[must_use]
    pub fn wrong(&self) -> Option<(&'static str, String)> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => Some(("tls_cert", "it needs a tls_key beside it".into())),
            (None, Some(_)) => Some(("tls_key", "it needs a tls_cert beside it".into())),
            _ => None,
        }
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

impl FromStr for Listen {
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
