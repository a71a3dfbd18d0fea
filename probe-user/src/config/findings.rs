//! `[findings]`

use serde::{Deserialize, Serialize};

use super::span::{Span, within};

/// How long a finding is remembered and what makes it part of an incident; for all rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FindingsConfig {
    /// A finding that fires again within this time of its end is the same one: it goes on under its
    /// id.
    pub reopen: Span,
    /// From so many times on that it began again, a finding resolves only after `reopen` of quiet.
    #[serde(deserialize_with = "within::<_, 1, 1_000>")]
    pub flaps: usize,
    /// A finding joins an incident that shares its cause when a finding of that one held within this
    /// time.
    pub incident_window: Span,
}

impl Default for FindingsConfig {
    fn default() -> Self {
        Self { reopen: Span::seconds(600), flaps: 3, incident_window: Span::seconds(600) }
    }
}
