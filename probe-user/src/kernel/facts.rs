//! Facts that decide which rungs can run, each readable in plain words.

use std::{fs, path::Path};

use serde::Serialize;

use super::{
    capability::{self, Capability},
    fields::VMLINUX,
    symbols::Symbols,
    tracefs,
};

/// `/sys/kernel/security/lockdown` (man 7 kernel_lockdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lockdown {
    None,
    /// Programs may not write to user memory, and debugfs is closed. Nothing nodeprobe needs.
    Integrity,
    /// No kprobes, no tracefs, no program that reads kernel memory (security/security.c).
    Confidentiality,
}

impl Lockdown {
    /// Whether programs may read kernel memory.
    #[must_use]
    pub fn lets_read_memory(self) -> bool {
        self != Self::Confidentiality
    }

    /// The mode as the kernel calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
        }
    }
}

/// Whether kprobes can be made through perf_event_open(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kprobes {
    /// They can; or, where debugfs cannot be read, nothing says that they are switched off.
    Armed,
    /// They can, but the root user switched all of them off (Documentation/trace/kprobes.rst).
    Off,
    None,
}

/// Where all kprobes are switched off and on.
const KPROBES_ENABLED: &str = "/sys/kernel/debug/kprobes/enabled";

/// The first kernel with a BPF ring buffer and `CAP_BPF`.
const OLDEST: (u32, u32) = (5, 8);
/// The first kernel that charges maps to a cgroup and not to `RLIMIT_MEMLOCK`.
const WITHOUT_MEMLOCK: (u32, u32) = (5, 11);

/// What the kernel and this process's rights allow.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// Whether the kernel shows its types.
    pub btf: bool,
    pub lockdown: Lockdown,
    pub kprobes: Kprobes,
    /// Whether tracefs is mounted where this process sees it.
    pub tracefs: bool,
    /// `kernel.perf_event_paranoid`; 2 where it cannot be read, as is the kernel's default.
    pub perf_event_paranoid: i32,
    /// Capabilities this process lacks.
    pub missing_capabilities: Vec<Capability>,
    /// Where kernel variables are.
    #[serde(skip)]
    pub symbols: Symbols,
}

impl Facts {
    /// Reads them all; what cannot be read counts as not there.
    #[must_use]
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let release = text("/proc/sys/kernel/osrelease").trim().to_owned();
        let charged = version(&release).is_some_and(|version| version < WITHOUT_MEMLOCK);
        let paranoid = text("/proc/sys/kernel/perf_event_paranoid").trim().parse();
        Self {
            btf: Path::new(VMLINUX).exists(),
            lockdown: lockdown(&text("/sys/kernel/security/lockdown")),
            kprobes: kprobes(
                Path::new("/sys/bus/event_source/devices/kprobe/type").exists(),
                &text(KPROBES_ENABLED),
            ),
            tracefs: tracefs::is_mounted(),
            perf_event_paranoid: paranoid.unwrap_or(2),
            missing_capabilities: capability::missing(charged),
            symbols: Symbols::of_running_kernel(),
            release,
        }
    }

    /// The first capability without which no program loads.
    #[must_use]
    pub fn missing_to_load(&self) -> Option<Capability> {
        [capability::BPF, capability::PERFMON].into_iter().find(|needed| self.lacks(*needed))
    }

    /// Whether this process lacks a capability.
    #[must_use]
    pub fn lacks(&self, capability: Capability) -> bool {
        self.missing_capabilities.contains(&capability)
    }

    /// Whether the kernel is known to be older than any that can carry nodeprobe.
    #[must_use]
    pub fn is_too_old(&self) -> bool {
        version(&self.release).is_some_and(|version| version < OLDEST)
    }
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The word in brackets is the mode: `none [integrity] confidentiality`.
fn lockdown(text: &str) -> Lockdown {
    if text.contains("[confidentiality]") {
        Lockdown::Confidentiality
    } else if text.contains("[integrity]") {
        Lockdown::Integrity
    } else {
        Lockdown::None
    }
}

fn kprobes(there: bool, enabled: &str) -> Kprobes {
    match (there, enabled.trim()) {
        (false, _) => Kprobes::None,
        (true, "0") => Kprobes::Off,
        (true, _) => Kprobes::Armed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lockdown_modes() {
        assert_eq!(lockdown("[none] integrity confidentiality\n"), Lockdown::None);
        assert_eq!(lockdown("none [integrity] confidentiality\n"), Lockdown::Integrity);
        assert_eq!(lockdown("none integrity [confidentiality]\n"), Lockdown::Confidentiality);
        assert_eq!(lockdown(""), Lockdown::None);
    }

    #[test]
    fn kprobes_are_off_only_when_the_kernel_says_so() {
        assert_eq!(kprobes(false, ""), Kprobes::None);
        assert_eq!(kprobes(true, "0\n"), Kprobes::Off);
        assert_eq!(kprobes(true, "1\n"), Kprobes::Armed);
        assert_eq!(kprobes(true, ""), Kprobes::Armed);
    }

    #[test]
    fn reads_releases() {
        assert_eq!(version("5.10.0-32-cloud-amd64"), Some((5, 10)));
        assert_eq!(version("7.2-rc1"), Some((7, 2)));
        assert!(version("4.19.0").unwrap() < OLDEST && version("5.8.0").unwrap() >= OLDEST);
        assert_eq!(version("unknown"), None);
    }
}
