//! `[rtnl]`

use serde::{Deserialize, Serialize};

use super::span::{Span, within};

/// Thresholds of the rtnl signal. Waited time is the sum over all tasks: four tasks that wait for two
/// seconds make eight.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RtnlConfig {
    /// Length of the window that waits are summed up in.
    pub window: Span,
    /// Shortest wait that is told with its waiter and its holder (ms). Shorter ones count, in sum.
    #[serde(deserialize_with = "within::<_, 0, 60_000>")]
    pub least_wait_ms: usize,
    /// Waited time in the window that warns.
    pub warn_waited: Span,
    /// Waited time in the window that is critical; the window's length means that at any moment one
    /// task waits.
    pub critical_waited: Span,
    /// A single wait of this length is critical.
    pub critical_wait: Span,
    /// How long it must be quiet before a finding resolves.
    pub hold: Span,
}

impl Default for RtnlConfig {
    fn default() -> Self {
        Self {
            window: Span::seconds(60),
            least_wait_ms: 1,
            warn_waited: Span::seconds(15),
            critical_waited: Span::seconds(60),
            critical_wait: Span::seconds(10),
            hold: Span::seconds(60),
        }
    }
}

impl RtnlConfig {
    /// Shortest wait that is told by itself (ns).
    #[must_use]
    pub fn least_wait_ns(&self) -> u64 {
        (self.least_wait_ms as u64).saturating_mul(1_000_000)
    }
}
