//! `[sinks.NAME.alertmanager]`

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::{AlertmanagerBackend, REMEMBERED};
use crate::{
    config::span::Span,
    net::{
        AuthConfig, Headers, HttpUrl, TlsConfig,
        http::{ANSWER, Client, Settings, Version},
    },
    sinks::{Backend, Kind, Policy, kinds::Site, labels::Labels},
};

/// Alerts, by the API of Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// The server, with what it has of a path before `/api/v2/alerts`.
    pub url: HttpUrl,
    /// How long an alert lasts that is not sent again: longer than any `hold` and than
    /// `findings.reopen`, in which a finding is quiet and not over.
    #[serde(default = "usual_ends_after")]
    pub ends_after: Span,
    /// Labels of every alert.
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub headers: Headers,
    #[serde(default)]
    pub auth: AuthConfig,
    #[serde(default)]
    pub tls: TlsConfig,
}

impl Kind for AlertmanagerConfig {
    const POLICY: Policy = Policy::NETWORK;

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { url, ends_after, labels, headers, auth, tls } = self;
        let url = &url.below("/api/v2/alerts");
        let version = Version::Http1;
        let settings = Settings { url, auth, tls, headers, gzip: false, version, answer: ANSWER };
        Ok(Box::new(AlertmanagerBackend {
            client: Client::new(&settings)?,
            node: site.node.clone(),
            own: labels.clone(),
            ends_after: ends_after.duration(),
            firing: LruCache::new(REMEMBERED),
        }))
    }
}

fn usual_ends_after() -> Span {
    Span::seconds(30 * 60)
}
