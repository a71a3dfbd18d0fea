//! `[sinks.NAME.otlp]`

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{OtlpBackend, grpc};
use crate::{
    net::{
        AuthConfig, Headers, HttpUrl, TlsConfig,
        http::{ANSWER, Client, Settings, Version},
    },
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// OpenTelemetry logs, by OTLP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Address of the collector. What the protocol has of a path is appended where it is not there.
    pub url: HttpUrl,
    #[serde(default)]
    pub protocol: Protocol,
    /// Whether requests are compressed.
    #[serde(default = "yes")]
    pub gzip: bool,
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub auth: AuthConfig,
    #[serde(default)]
    pub tls: TlsConfig,
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP with protobuf, as the specification prefers it.
    #[default]
    Http,
    /// gRPC, which is HTTP/2 from the first byte on.
    Grpc,
}

impl Protocol {
    /// Path that logs are sent to.
    fn path(self) -> &'static str {
        match self {
            Self::Http => "/v1/logs",
            Self::Grpc => grpc::PATH,
        }
    }
}

fn yes() -> bool {
    true
}

impl Kind for OtlpConfig {
    const POLICY: Policy = Policy {
        // Servers of gRPC take 4 MiB unless told otherwise.
        most: Most { records: 512, bytes: 1024 * 1024 },
        linger: Duration::from_secs(1),
        // What exporters of OTLP have.
        timeout: Duration::from_secs(10),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        last_words: Duration::from_secs(4),
    };

    fn open(&self, _: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { url, protocol, gzip, headers, auth, tls } = self;
        let (version, gzip_body) = match protocol {
            Protocol::Http => (Version::Http1, *gzip),
            // There each message is compressed, not the body they are in.
            Protocol::Grpc => (Version::Http2, false),
        };
        let url = &url.below(protocol.path());
        let settings =
            Settings { url, auth, tls, headers, gzip: gzip_body, version, answer: ANSWER };
        Ok(Box::new(OtlpBackend::new(Client::new(&settings)?, *protocol, *gzip)))
    }
}
