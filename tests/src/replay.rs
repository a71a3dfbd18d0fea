//! A run that is written down and played again: the findings are the same, as far as a capture knows.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::finding::Finding;

/// The scenarios whose runs are: one of each signal.
const REPLAYED: [&str; 5] =
    ["tc-handle-toggle", "fork-pids-max", "netlink-leak", "rtnl-pressure", "fd-leak"];

/// Parts of the evidence that are looked up on the node, and so in no capture.
const LOOKED_UP: [&str; 1] = ["birthplaces"];

/// Where a run is written down.
pub struct Capture {
    directory: TempDir,
    config: String,
}

impl Capture {
    /// For a scenario that is replayed, whose agent has this configuration.
    pub fn of(scenario: &str, config: &str) -> Result<Option<Self>> {
        if !REPLAYED.contains(&scenario) {
            return Ok(None);
        }
        let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
        Ok(Some(Self { directory, config: config.into() }))
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("capture")
    }

    /// What makes an agent write it.
    #[must_use]
    pub fn args(&self) -> [OsString; 2] {
        ["--capture".into(), self.file().into()]
    }

    /// Plays it, and compares.
    pub fn verify(&self, nodeprobe: &Path, live: &[Finding]) -> Result<()> {
        let config = self.directory.path().join("nodeprobe.toml");
        fs::write(&config, &self.config).context("cannot write a configuration")?;
        let output = Command::new(nodeprobe)
            .args(["replay", "-o", "json", "--config"])
            .args([config, self.file()])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", nodeprobe.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the replay ended with {}: {said}", output.status);
        let broken = |line: &str| line.starts_with("the file") || line.contains("were lost");
        ensure!(!said.lines().any(broken), "the capture is not whole: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        let replayed: Vec<Finding> = text
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("no finding: {line}")))
            .collect::<Result<_>>()?;
        for (number, live) in live.iter().enumerate() {
            let Some(replayed) = replayed.get(number) else {
                bail!("not found in the replay: {live}; {said}");
            };
            let (live, again) = (essence(live), essence(replayed));
            ensure!(live == again, "found {live}, and in the replay {again}");
        }
        let more = replayed.get(live.len());
        more.map_or(Ok(()), |more| bail!("found in the replay only: {more}"))
    }
}

/// What a capture has of a finding: not the names of what the node was asked for, nor the calendar's
/// time to the microsecond, as two clocks cannot be read at once. The id has the time in it.
fn essence(finding: &Finding) -> Value {
    let raw = finding.raw();
    let mut evidence = raw["evidence"].clone();
    if let Some(evidence) = evidence.as_object_mut() {
        LOOKED_UP.iter().for_each(|name| drop(evidence.remove(*name)));
    }
    let mut essence = serde_json::json!({
        "cgroup": raw["subject"]["cgroup"],
        "pid": raw["subject"]["process"]["pid"],
        "evidence": evidence,
    });
    for name in ["id", "revision", "state", "rule", "severity"] {
        essence[name] = raw[name].clone();
    }
    for name in ["netns", "interface"] {
        essence[name] = raw["subject"][name].clone();
    }
    essence
}
