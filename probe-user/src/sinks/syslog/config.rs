//! `[sinks.NAME.syslog]`

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    SyslogBackend,
    encode::Encoder,
    target::{LocalKind, Network, Target},
};
use crate::{
    config::span::within,
    net::TlsConfig,
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// Messages of RFC 5424.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyslogConfig {
    /// Where the server is.
    pub to: Target,
    /// How messages are told apart in a stream; the usual one of the transport when it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<Framing>,
    pub facility: Facility,
    pub body: Body,
    /// Most of a message (bytes); the usual one of the transport when it is not set.
    #[serde(deserialize_with = "max_bytes", skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// Name of the structured data.
    pub sd_id: SdId,
    #[serde(skip_serializing_if = "TlsConfig::is_default")]
    pub tls: TlsConfig,
}

impl Default for SyslogConfig {
    fn default() -> Self {
        Self {
            to: Target::Local("/dev/log".into(), LocalKind::Datagram),
            framing: None,
            facility: Facility::Daemon,
            body: Body::Summary,
            max_bytes: None,
            sd_id: SdId::default(),
            tls: TlsConfig::default(),
        }
    }
}

impl Kind for SyslogConfig {
    const POLICY: Policy = Policy {
        most: Most { records: 100, bytes: 256 * 1024 },
        linger: Duration::ZERO,
        timeout: Duration::from_secs(30),
        first_pause: Duration::from_millis(500),
        longest_pause: Duration::from_secs(10),
        last_words: Duration::from_secs(4),
    };

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        let Self { to, framing, facility, body, max_bytes, sd_id, tls } = self;
        // What every server takes: RFC 5426 section 3.2 for datagrams of a network, and the usual limit of
        // rsyslog for all else.
        let (usual_most, usual_framing) = match to {
            Target::Network(Network::Udp, ..) => (2048, None),
            Target::Network(..) => (8192, Some(Framing::OctetCounted)),
            Target::Local(_, LocalKind::Stream) => (8192, Some(Framing::Lf)),
            Target::Local(_, LocalKind::Datagram) => (8192, None),
        };
        if framing.is_some() && usual_framing.is_none() {
            return Err(format!("framing: {to} has messages, no stream; leave it out"));
        }
        if !tls.is_default() && !matches!(to, Target::Network(Network::Tls, ..)) {
            return Err(format!("tls: {to} is not spoken to by TLS; tls://HOST:PORT is"));
        }
        let most = max_bytes.unwrap_or(usual_most);
        let encoder = Encoder::new(*facility, sd_id.clone(), *body, most, &site.node);
        let framing = framing.or(usual_framing).unwrap_or(Framing::OctetCounted);
        Ok(Box::new(SyslogBackend::open(to, framing, tls, encoder)?))
    }
}

/// A message has room for its header, whatever is in that.
fn max_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    within::<D, 1_024, 65_000>(deserializer).map(Some)
}

/// How messages are told apart in a stream (RFC 6587).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// The length of each stands before it.
    OctetCounted,
    /// A newline ends each.
    Lf,
}

/// What the text of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// One sentence.
    Summary,
    /// All of it.
    Json,
}

/// Facilities that a program may file its messages under (RFC 5424 section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Facility {
    User = 1,
    Mail = 2,
    Daemon = 3,
    Auth = 4,
    Syslog = 5,
    Cron = 9,
    Authpriv = 10,
    Local0 = 16,
    Local1 = 17,
    Local2 = 18,
    Local3 = 19,
    Local4 = 20,
    Local5 = 21,
    Local6 = 22,
    Local7 = 23,
}

impl Facility {
    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Name of structured data: one's own, and one's number in IANA's list of private enterprises.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SdId(String);

impl Default for SdId {
    /// 32473 is kept for examples (RFC 5612): it can be mistaken for nobody's.
    fn default() -> Self {
        Self("nodeprobe@32473".into())
    }
}

impl TryFrom<String> for SdId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        const LONGEST: usize = 32;
        let printable = |c: char| c.is_ascii_graphic() && !matches!(c, '=' | ']' | '"');
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let right = text.split_once('@').is_some_and(|(name, numbers)| {
            !name.is_empty() && name.chars().all(printable) && numbers.split('.').all(number)
        });
        if right && text.len() <= LONGEST {
            return Ok(Self(text));
        }
        Err(format!("{text:?} is no name of structured data such as \"nodeprobe@32473\""))
    }
}

impl From<SdId> for String {
    fn from(SdId(text): SdId) -> Self {
        text
    }
}

impl fmt::Display for SdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
