//! Where a syslog server is: `unix:/dev/log`, `unix-stream:PATH`, `udp://HOST:PORT`, `tcp://HOST:PORT`,
//! `tls://HOST:PORT`.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    Local(PathBuf, LocalKind),
    /// Host and port.
    Network(Network, String, u16),
}

/// Kinds of unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    Datagram,
    Stream,
}

/// Ways through a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Udp,
    Tcp,
    Tls,
}

const LOCALS: [(&str, LocalKind); 2] =
    [("unix:", LocalKind::Datagram), ("unix-stream:", LocalKind::Stream)];

const NETWORKS: [(&str, Network); 3] =
    [("udp://", Network::Udp), ("tcp://", Network::Tcp), ("tls://", Network::Tls)];

/// Longest path of a unix socket (bytes, unix(7)).
const LONGEST_PATH: usize = 107;

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        for (scheme, kind) in LOCALS {
            if let Some(path) = text.strip_prefix(scheme) {
                if !path.starts_with('/') || path.len() > LONGEST_PATH {
                    return Err(format!(
                        "{path:?} is no path of a socket: it begins with / and has at most \
                         {LONGEST_PATH} bytes"
                    ));
                }
                return Ok(Self::Local(path.into(), kind));
            }
        }
        for (scheme, network) in NETWORKS {
            if let Some(rest) = text.strip_prefix(scheme) {
                let wrong = || format!("{rest:?} is not HOST:PORT");
                let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
                let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                let right = match bare {
                    Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
                    None => !host.is_empty() && host.chars().all(allowed),
                };
                let host = bare.unwrap_or(host).to_owned();
                return right.then_some(Self::Network(network, host, port)).ok_or_else(wrong);
            }
        }
        Err(format!(
            "{text:?} is none of unix:PATH, unix-stream:PATH, udp://HOST:PORT, tcp://HOST:PORT, \
             tls://HOST:PORT"
        ))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path, kind) => {
                let scheme = LOCALS.iter().find(|(_, local)| local == kind);
                write!(f, "{}{}", scheme.map_or("", |(scheme, _)| scheme), path.display())
            }
            Self::Network(kind, host, port) => {
                let scheme = NETWORKS.iter().find(|(_, network)| network == kind);
                let scheme = scheme.map_or("", |(scheme, _)| scheme);
                match host.contains(':') {
                    true => write!(f, "{scheme}[{host}]:{port}"),
                    false => write!(f, "{scheme}{host}:{port}"),
                }
            }
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}
