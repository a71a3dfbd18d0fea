//! `[fd]`

use serde::{Deserialize, Serialize};

use super::span::{Span, within};

/// Thresholds of the fd signal. The numbers are open file descriptors of one process.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FdConfig {
    /// Time between two looks at all processes: the length of one bucket of the history.
    pub poll: Span,
    /// Open fds from which on it is looked what they are, and from which on a limit that is near is
    /// a matter of concern. Half of the process's limit does as well, where that is less.
    #[serde(deserialize_with = "within::<_, 64, 1_000_000>")]
    pub breakdown_at: usize,
    /// Open fds that warn when the number keeps rising.
    #[serde(deserialize_with = "within::<_, 64, 1_000_000>")]
    pub warn_open: usize,
    /// Buckets of history that are looked at.
    #[serde(deserialize_with = "within::<_, 4, 120>")]
    pub buckets: usize,
    /// Share of the buckets in which the number must rise (percent).
    #[serde(deserialize_with = "within::<_, 1, 100>")]
    pub rising_percent: usize,
    /// Share of its soft `RLIMIT_NOFILE` at which a process counts as out of fds (percent).
    #[serde(deserialize_with = "within::<_, 50, 100>")]
    pub exhausted_percent: usize,
    /// Share of `fs.file-max` at which the node counts as out of files (percent).
    #[serde(deserialize_with = "within::<_, 50, 100>")]
    pub node_percent: usize,
    /// How long it must be over before a finding resolves.
    pub hold: Span,
}

impl Default for FdConfig {
    fn default() -> Self {
        Self {
            poll: Span::seconds(60),
            breakdown_at: 256,
            warn_open: 1_000,
            buckets: 20,
            rising_percent: 80,
            exhausted_percent: 95,
            node_percent: 90,
            hold: Span::seconds(300),
        }
    }
}
