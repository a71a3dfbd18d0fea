//! `[sinks.NAME.file]`

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::FileBackend;
use crate::sinks::{Backend, Kind, Policy, kinds::Site, store::Most};

/// Lines of JSON in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file; made when it is not there.
    pub path: PathBuf,
}

impl Kind for FileConfig {
    const POLICY: Policy = Policy {
        most: Most { records: 1, bytes: 1024 * 1024 },
        linger: Duration::ZERO,
        timeout: Duration::from_secs(30),
        first_pause: Duration::from_millis(100),
        longest_pause: Duration::from_secs(2),
        last_words: Duration::from_secs(4),
    };

    const SPOOLED: bool = false;

    fn open(&self, _: &Site) -> Result<Box<dyn Backend>, String> {
        Ok(Box::new(FileBackend::open(&self.path)?))
    }
}
