//! `[sinks.NAME.loki]`

use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};

use super::LokiBackend;
use crate::{
    net::{
        AuthConfig, Headers, HttpUrl, TlsConfig,
        http::{ANSWER, Client, Settings, Version},
    },
    sinks::{Backend, Kind, Policy, kinds::Site, labels::Labels},
};

/// Log lines, by the push API of Loki.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LokiConfig {
    /// The server, with what it has of a path before `/loki/api/v1/push`.
    pub url: HttpUrl,
    /// Whose logs they are, where the server has more than one tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// Labels of every stream.
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub auth: AuthConfig,
    #[serde(default)]
    pub tls: TlsConfig,
}

impl Kind for LokiConfig {
    const POLICY: Policy = Policy::NETWORK;

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { url, tenant, labels, headers, auth, tls } = self;
        let url = &url.below("/loki/api/v1/push");
        // It is compressed already.
        let (gzip, version) = (false, Version::Http1);
        let settings = Settings { url, auth, tls, headers, gzip, version, answer: ANSWER };
        Ok(Box::new(LokiBackend {
            client: Client::new(&settings)?,
            node: site.node.clone(),
            own: labels.clone(),
            tenant: tenant.as_ref().and_then(|Tenant(name)| HeaderValue::from_str(name).ok()),
        }))
    }
}

/// A name of a tenant, as Loki allows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);

impl TryFrom<String> for Tenant {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte);
        let right = (1..=150).contains(&name.len()) && name.bytes().all(good);
        let wrong = || format!("{name:?} is no tenant: 1 to 150 of letters, digits and !-_.*'()");
        if right { Ok(Self(name)) } else { Err(wrong()) }
    }
}

impl From<Tenant> for String {
    fn from(name: Tenant) -> Self {
        name.0
    }
}
