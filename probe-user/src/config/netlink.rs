//! `[netlink]`

use serde::{Deserialize, Serialize};

use super::span::{Span, within};

/// Thresholds of the netlink signal. The numbers are open sockets of one process and protocol,
/// divided by the network namespaces they are in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetlinkConfig {
    /// Open sockets that warn when the number keeps rising. A healthy Felix holds 6 to 20.
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub warn_open: usize,
    /// Open sockets that are critical, rising or not.
    #[serde(deserialize_with = "within::<_, 1, 1_000_000>")]
    pub critical_open: usize,
    /// Length of one bucket of the history.
    pub bucket: Span,
    /// Buckets of history that are looked at.
    #[serde(deserialize_with = "within::<_, 2, 1_440>")]
    pub buckets: usize,
    /// Share of the buckets in which the number must rise (percent).
    #[serde(deserialize_with = "within::<_, 1, 100>")]
    pub rising_percent: usize,
    /// How long it must be quiet before a finding resolves.
    pub hold: Span,
}

impl Default for NetlinkConfig {
    fn default() -> Self {
        Self {
            warn_open: 64,
            critical_open: 512,
            bucket: Span::seconds(60),
            buckets: 20,
            rising_percent: 80,
            hold: Span::seconds(300),
        }
    }
}
