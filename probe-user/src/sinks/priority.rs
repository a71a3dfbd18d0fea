//! Severities of syslog(3), which journald has as well.

use super::record::Meta;
use crate::findings::{Severity, State};

/// Two is critical, four a warning, six informational. What is over is a notice, five, however bad it
/// was: nobody is to be called for it.
#[must_use]
pub fn priority(meta: &Meta) -> u8 {
    match (meta.state, meta.severity) {
        (Some(State::Resolved), _) => 5,
        (_, Severity::Critical) => 2,
        (_, Severity::Warning) => 4,
        (_, Severity::Info) => 6,
    }
}
