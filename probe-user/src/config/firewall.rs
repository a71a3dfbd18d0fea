//! `[firewall]`

use serde::{Deserialize, Serialize};

use super::span::Span;

/// Thresholds of the firewall signal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirewallConfig {
    /// How long a write counts: two backends that both wrote a table in it rule it together.
    pub window: Span,
    /// How long after clones were refused a new backend is taken for their effect.
    pub after_fork_failures: Span,
    /// How long it must be over before a finding resolves.
    pub hold: Span,
}

impl Default for FirewallConfig {
    fn default() -> Self {
        Self {
            window: Span::seconds(24 * 3_600),
            after_fork_failures: Span::seconds(600),
            hold: Span::seconds(60),
        }
    }
}
