//! `[sinks.NAME.webhook]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::WebhookBackend;
use crate::{
    net::{
        AuthConfig, Headers, HttpUrl, Secret, TlsConfig,
        auth::Source,
        http::{ANSWER, Client, Settings, Version},
    },
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// JSON by HTTP POST.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct WebhookConfig {
    url: HttpUrl,
    /// What bodies are signed with.
    secret: Option<Source>,
    headers: Headers,
    auth: AuthConfig,
    tls: TlsConfig,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    url: HttpUrl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_file: Option<PathBuf>,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    auth: AuthConfig,
    #[serde(default)]
    tls: TlsConfig,
}

impl TryFrom<Keys> for WebhookConfig {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        let Keys { url, secret, secret_file, headers, auth, tls } = keys;
        Ok(Self { url, secret: Source::of("secret", secret, secret_file)?, headers, auth, tls })
    }
}

impl From<WebhookConfig> for Keys {
    fn from(config: WebhookConfig) -> Self {
        let WebhookConfig { url, secret, headers, auth, tls } = config;
        let (secret, secret_file) = secret.map(Source::into_keys).unwrap_or_default();
        Self { url, secret, secret_file, headers, auth, tls }
    }
}

impl Kind for WebhookConfig {
    const POLICY: Policy =
        Policy { most: Most { records: 100, bytes: 256 * 1024 }, ..Policy::NETWORK };

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { url, secret, headers, auth, tls } = self;
        let version = Version::Http1;
        let client = Client::new(&Settings {
            url,
            auth,
            tls,
            headers,
            gzip: false,
            version,
            answer: ANSWER,
        })?;
        let secret = secret.as_ref().map(Source::open).transpose()?;
        Ok(Box::new(WebhookBackend { client, secret, node: site.node.clone() }))
    }
}
