//! `[sinks.NAME.nats]`

use std::{fmt, str::FromStr, time::Duration};

use hyper::Uri;
use serde::{Deserialize, Serialize};

use super::NatsBackend;
use crate::{
    net::{AuthConfig, TlsConfig, auth::Auth, resolve::Resolver},
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// NATS JetStream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// Address of a server.
    pub url: NatsUrl,
    /// What records are published as; a stream must take it.
    #[serde(default)]
    pub subject: Subject,
    #[serde(default)]
    pub auth: AuthConfig,
    #[serde(default)]
    pub tls: TlsConfig,
}

/// An address such as `nats://bus.example.com:4222`; `tls://` where TLS must be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct NatsUrl {
    pub tls: bool,
    pub host: String,
    pub port: u16,
}

/// Where no port is given.
const PORT: u16 = 4222;

impl FromStr for NatsUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text itself may hold a password, so none of it is repeated.
        let allowed = "allowed is an address such as \"nats://bus.example.com:4222\" or tls://...";
        let uri: Uri = text.parse().map_err(|error| format!("{error}; {allowed}"))?;
        let tls = match uri.scheme_str() {
            Some("nats") => false,
            Some("tls") => true,
            _ => return Err(format!("it begins with neither nats:// nor tls://; {allowed}")),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err("a URL holds no user and password here; give them as auth.username and \
                        auth.password_file"
                .into());
        }
        let host = uri.host().unwrap_or_default();
        let behind = authority.strip_prefix(host).unwrap_or_default();
        let port = match behind {
            "" => Some(PORT),
            _ => behind.strip_prefix(':').and_then(|port| port.parse().ok()),
        };
        let host = host.trim_matches(['[', ']']);
        match port {
            Some(port) if !host.is_empty() => Ok(Self { tls, host: host.into(), port }),
            _ => Err(format!("it has no host, or a port that is none; {allowed}")),
        }
    }
}

impl fmt::Display for NatsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tls, host, port } = self;
        let scheme = if *tls { "tls" } else { "nats" };
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl TryFrom<String> for NatsUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<NatsUrl> for String {
    fn from(url: NatsUrl) -> Self {
        url.to_string()
    }
}

/// A subject without wildcards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

/// Longest subject (bytes); servers take a line of 4 KiB.
const LONGEST: usize = 256;

impl Subject {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Subject {
    fn default() -> Self {
        Self("nodeprobe".into())
    }
}

impl TryFrom<String> for Subject {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let right = |token: &str| {
            !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic() && c != '*' && c != '>')
        };
        match text.len() <= LONGEST && text.split('.').all(right) && !text.starts_with('$') {
            true => Ok(Self(text)),
            false => Err(format!(
                "it is no subject such as \"nodeprobe.findings\": at most {LONGEST} characters, words \
                 between dots, no space, no wildcard, not one of the server's own ($...)"
            )),
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl Kind for NatsConfig {
    const POLICY: Policy = Policy {
        // Each is waited for before the next is sent, so a batch takes as many round trips.
        most: Most { records: 64, bytes: 1024 * 1024 },
        linger: Duration::ZERO,
        timeout: Duration::from_secs(30),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        last_words: Duration::from_secs(4),
    };

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { url, subject, auth, tls } = self.clone();
        if url.tls {
            // What is wrong with the files is told now; they are read again for each connection.
            tls.client()?;
        }
        let resolver = Resolver::for_host(&url.host)?;
        let (auth, node) = (Auth::open(&auth)?, site.node.clone());
        Ok(Box::new(NatsBackend::new(url, subject, auth, tls, resolver, node)))
    }
}
