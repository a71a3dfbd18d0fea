//! `[sinks.NAME.file]`

use std::{fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::FileBackend;
use crate::{
    config::span::{Span, within},
    sinks::{Backend, Kind, Policy, kinds::Site, store::Most},
};

/// Lines of JSON in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The file; made when it is not there, with the directories above it.
    pub path: PathBuf,
    /// Permissions of a file that is made.
    #[serde(default)]
    pub mode: Mode,
    /// Size from which on it is rotated (MiB); 0 for never.
    #[serde(default = "usual_mib", deserialize_with = "mib")]
    pub rotate_mib: usize,
    /// Age from which on it is rotated, with the next line; never when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<Span>,
    /// Rotated files that are kept.
    #[serde(default = "usual_keep", deserialize_with = "keep")]
    pub keep: usize,
    /// Whether rotated files are compressed.
    #[serde(default = "yes")]
    pub gzip: bool,
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
        Ok(Box::new(FileBackend::open(self.clone())?))
    }
}

fn usual_mib() -> usize {
    64
}

fn usual_keep() -> usize {
    5
}

fn yes() -> bool {
    true
}

fn mib<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within::<D, 0, 65_536>(deserializer)
}

fn keep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within::<D, 1, 1_000>(deserializer)
}

/// Permissions of a file, written as chmod(1) has them: `0640`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u32);

impl Mode {
    /// As open(2) takes it.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl Default for Mode {
    fn default() -> Self {
        Self(0o640)
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let allowed = |bits: &u32| *bits <= 0o777 && bits & 0o200 != 0;
        let mode = u32::from_str_radix(&text, 8).ok().filter(allowed).map(Self);
        mode.ok_or_else(|| {
            format!(
                "{text:?} is no mode of a file such as \"0640\": up to \"0777\", and its owner writes it"
            )
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        mode.to_string()
    }
}
