//! `[events]`

use serde::{Deserialize, Serialize};

use super::span::Span;

/// Events, for sinks that ask for them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// Time that events are summed up in, for sinks with `events = "summed"`.
    pub interval: Span,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self { interval: Span::seconds(10) }
    }
}
