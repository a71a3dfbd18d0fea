//! `[sinks.NAME.journald]`

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::JournaldBackend;
use crate::sinks::{Backend, Kind, Policy, kinds::Site, store::Most};

/// Entries of the journal of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournaldConfig {
    /// Where journald listens.
    pub socket: PathBuf,
    /// Whether all of a record is in the field `NODEPROBE_JSON`.
    pub json: bool,
}

impl Default for JournaldConfig {
    fn default() -> Self {
        Self { socket: "/run/systemd/journal/socket".into(), json: true }
    }
}

impl Kind for JournaldConfig {
    const POLICY: Policy = Policy {
        most: Most { records: 64, bytes: 1024 * 1024 },
        linger: Duration::ZERO,
        timeout: Duration::from_secs(30),
        first_pause: Duration::from_millis(100),
        longest_pause: Duration::from_secs(5),
        last_words: Duration::from_secs(4),
    };

    fn open(&self, site: &Site) -> Result<Box<dyn Backend>, String> {
        Ok(Box::new(JournaldBackend::open(self, &site.node)))
    }
}
