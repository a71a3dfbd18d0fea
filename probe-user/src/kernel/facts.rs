//! Facts that decide which rungs can run, each readable in plain words.

use std::{fs, path::Path};

use serde::Serialize;

use super::{fields::VMLINUX, symbols::Symbols, tracefs};

/// `/sys/kernel/security/lockdown` (man 7 kernel_lockdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lockdown {
    None,
    Integrity,
    Confidentiality,
}

/// A capability nodeprobe uses, by its number in include/uapi/linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    #[serde(skip)]
    bit: u8,
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
}

const SYS_ADMIN: u8 = 21;
const BPF: Capability = Capability { bit: 39, name: "CAP_BPF", purpose: "load programs and maps" };
const PERFMON: Capability =
    Capability { bit: 38, name: "CAP_PERFMON", purpose: "attach to tracepoints, read the kernel" };
const SYS_PTRACE: Capability =
    Capability { bit: 19, name: "CAP_SYS_PTRACE", purpose: "say which executable a process runs" };
const DAC_READ_SEARCH: Capability =
    Capability { bit: 2, name: "CAP_DAC_READ_SEARCH", purpose: "turn cgroup ids into paths" };

/// What the kernel and this process's rights allow.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// Whether the kernel shows its types.
    pub btf: bool,
    pub lockdown: Lockdown,
    /// Whether kprobes can be made through perf_event_open(2).
    pub kprobes: bool,
    /// Whether tracefs is mounted where this process sees it.
    pub tracefs: bool,
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
        Self {
            release: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            btf: Path::new(VMLINUX).exists(),
            lockdown: lockdown(&text("/sys/kernel/security/lockdown")),
            kprobes: Path::new("/sys/bus/event_source/devices/kprobe/type").exists(),
            tracefs: tracefs::is_mounted(),
            missing_capabilities: missing_capabilities(&text("/proc/self/status")),
            symbols: Symbols::of_running_kernel(),
        }
    }

    /// The first capability without which no program loads.
    #[must_use]
    pub fn missing_to_load(&self) -> Option<Capability> {
        let missing = |needed: &Capability| self.missing_capabilities.contains(needed);
        [BPF, PERFMON].into_iter().find(missing)
    }
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

fn missing_capabilities(status: &str) -> Vec<Capability> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let has = |bit: u8| effective & (1 << bit) != 0;
    // CAP_SYS_ADMIN was all of bpf's and perf's rights before 5.8 and still is.
    let covered = |capability: &Capability| {
        has(capability.bit) || (has(SYS_ADMIN) && [BPF.bit, PERFMON.bit].contains(&capability.bit))
    };
    [BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH].into_iter().filter(|c| !covered(c)).collect()
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
    fn names_what_is_missing() {
        let names = |status: &str| -> Vec<_> {
            missing_capabilities(status).iter().map(|capability| capability.name).collect()
        };
        assert!(names("CapEff:\t000001ffffffffff\n").is_empty());
        assert_eq!(names("CapEff:\t0000000000200000\n"), ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
        assert_eq!(names("garbage").len(), 4);
    }
}
