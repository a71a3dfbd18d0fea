//! `[spool]`, and `[sinks.NAME.spool]`: findings on the disk until the other side has them.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize};

use super::span::{Span, within};

/// Names the agent's directory in the environment (systemd.exec(5), `StateDirectory=`); several are
/// separated by colons.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// Where spools are if nothing says otherwise.
const USUAL: &str = "/var/lib/nodeprobe";

/// `[spool]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// Where every sink that has a spool gets a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
}

impl SpoolConfig {
    /// The directory of the sink called `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> PathBuf {
        self.dir(env::var(STATE_DIRECTORY).ok().as_deref()).join(name)
    }

    fn dir(&self, state: Option<&str>) -> PathBuf {
        let first = state.and_then(|dirs| dirs.split(':').next()).filter(|dir| !dir.is_empty());
        let usual = || Path::new(first.unwrap_or(USUAL)).join("spool");
        self.dir.clone().unwrap_or_else(usual)
    }
}

/// When it is made sure that what was written outlives a loss of power (fdatasync(2)). The end of the
/// process it outlives in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Before anything of it is handed over.
    Always,
    /// Within a second.
    #[default]
    Interval,
    /// When the kernel does.
    Never,
}

/// `[sinks.NAME.spool]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SinkSpoolConfig {
    /// Whether there is one; if it is not said, where the sink reaches over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Most that it may take (MiB): then the oldest are given up.
    #[serde(deserialize_with = "mib")]
    pub max_mib: usize,
    /// What is older is given up.
    pub max_age: Span,
    /// When it is made sure of.
    pub fsync: Fsync,
    /// Whether events are written to it too, and not to memory only.
    pub events: bool,
}

impl Default for SinkSpoolConfig {
    fn default() -> Self {
        let max_age = Span::seconds(24 * 3600);
        Self { enabled: None, max_mib: 64, max_age, fsync: Fsync::default(), events: false }
    }
}

impl SinkSpoolConfig {
    /// Most of all its files together (bytes).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.max_mib as u64 * 1024 * 1024
    }

    /// Age from which on a record is given up.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.max_age.duration()
    }
}

fn mib<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    // One segment is written while another one is given up.
    within::<D, 4, 65_536>(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_comes_before_what_systemd_says() {
        let (unsaid, said) = (SpoolConfig::default(), SpoolConfig { dir: Some("/d".into()) });
        assert_eq!(unsaid.dir(None), Path::new("/var/lib/nodeprobe/spool"));
        assert_eq!(unsaid.dir(Some("")), Path::new("/var/lib/nodeprobe/spool"));
        assert_eq!(unsaid.dir(Some("/s/one:/s/two")), Path::new("/s/one/spool"));
        assert_eq!(said.dir(Some("/s")), Path::new("/d"));
    }
}
