//! The unit of systemd: what it allows the agent, and whether systemd takes it.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, Result, ensure};

use super::tree;
use crate::{paths, run, setup};

const FILE: &str = "deploy/systemd/nodeprobe.service";
/// Most that `systemd-analyze security` may find exposed, in tenths; 100 is all.
const EXPOSED: &str = "36";
/// What every filter of systemd allows besides.
const ALWAYS: &str = "@default";

/// Its text.
pub struct Unit(String);

impl Unit {
    /// Reads it.
    pub fn read() -> Result<Self> {
        let file = paths::root().join(FILE);
        fs::read_to_string(&file).map(Self).with_context(|| format!("cannot read {FILE}"))
    }

    /// The values of all lines that set this key.
    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
    }

    /// The capabilities the agent may have.
    pub fn capabilities(&self) -> Vec<&str> {
        self.values("CapabilityBoundingSet").flat_map(str::split_whitespace).collect()
    }

    /// The system calls the agent may do.
    pub fn calls(&self) -> Result<BTreeSet<String>> {
        let mut calls = BTreeSet::new();
        expand(ALWAYS, &mut calls)?;
        for filter in self.values("SystemCallFilter") {
            let (denied, words) = filter.strip_prefix('~').map_or((false, filter), |f| (true, f));
            let mut named = BTreeSet::new();
            words.split_whitespace().try_for_each(|word| expand(word, &mut named))?;
            if denied {
                calls.retain(|call| !named.contains(call));
            } else {
                calls.append(&mut named);
            }
        }
        Ok(calls)
    }
}

/// Adds a system call, or those of a set, which may have sets in it.
fn expand(word: &str, calls: &mut BTreeSet<String>) -> Result<()> {
    if !word.starts_with('@') {
        calls.insert(word.to_owned());
        return Ok(());
    }
    let listed = run::query(Command::new("systemd-analyze").args(["syscall-filter", word]));
    let listed = listed.with_context(|| format!("systemd has no set {word}"))?;
    let words = listed.lines().filter_map(|line| line.strip_prefix("    "));
    words.filter(|word| !word.starts_with('#')).try_for_each(|word| expand(word, calls))
}

/// Installs systemd's tools if they are missing.
pub fn ensure_tools() -> Result<()> {
    match paths::program("systemd-analyze") {
        Some(_) => Ok(()),
        None => setup::install(&["systemd"]),
    }
}

/// Has systemd check each key and the programs, in a root that has the agent.
pub fn verify() -> Result<()> {
    let root = tempfile::tempdir().context("cannot make a directory")?;
    let root = root.path();
    let unit = root.join(tree::UNIT);
    // It looks for the programs, and systemd has none of ours.
    for program in [tree::AGENT, "usr/bin/kill"] {
        let program = root.join(program);
        fs::create_dir_all(program.parent().context("a program is in a directory")?)?;
        fs::copy("/bin/true", &program)?;
    }
    fs::create_dir_all(unit.parent().context("a unit is in a directory")?)?;
    fs::write(&unit, Unit::read()?.0)?;
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]);
    verify.arg(format!("--root={}", root.display())).arg(&unit);
    let said = run::step("systemd-analyze verify", &mut verify)?;
    ensure!(said.is_empty(), "systemd-analyze verify says:\n{said}");
    Ok(())
}

/// Has systemd say how exposed the node is to the agent.
pub fn exposure() -> Result<()> {
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]);
    security.arg(format!("--threshold={EXPOSED}")).arg(paths::root().join(FILE));
    let said = run::step("systemd-analyze security", &mut security)?;
    println!("{}", said.lines().last().unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_is_taken_from_what_is_allowed() -> Result<()> {
        let unit = Unit("[Service]\nSystemCallFilter=read bpf\nSystemCallFilter=~bpf\n".into());
        if paths::program("systemd-analyze").is_some() {
            let calls = unit.calls()?;
            assert!(calls.contains("read") && calls.contains("execve"), "{calls:?}");
            assert!(!calls.contains("bpf"));
        }
        Ok(())
    }

    #[test]
    fn the_unit_has_what_no_program_loads_without() -> Result<()> {
        let unit = Unit::read()?;
        let capabilities = unit.capabilities();
        assert!(["CAP_BPF", "CAP_PERFMON"].iter().all(|needed| capabilities.contains(needed)));
        Ok(())
    }
}
