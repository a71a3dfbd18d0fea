//! Capabilities nodeprobe uses, and what it cannot do without each (man 7 capabilities).

use serde::Serialize;

/// One of them, by its number in include/uapi/linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    #[serde(skip)]
    bit: u8,
    pub name: &'static str,
    /// What it is for, as the end of "cannot ...".
    pub purpose: &'static str,
}

pub const BPF: Capability =
    Capability { bit: 39, name: "CAP_BPF", purpose: "load programs and maps" };
pub const PERFMON: Capability = Capability {
    bit: 38,
    name: "CAP_PERFMON",
    purpose: "attach to functions and tracepoints, or read kernel memory",
};
pub const SYS_ADMIN: Capability = Capability {
    bit: 21,
    name: "CAP_SYS_ADMIN",
    purpose: "look into other network namespaces (what is attached there already), mount tracefs, \
              or open perf events where kernel.perf_event_paranoid is above 2",
};
const SYS_PTRACE: Capability = Capability {
    bit: 19,
    name: "CAP_SYS_PTRACE",
    purpose: "see the fds, executables and stacks of other users' processes",
};
const DAC_READ_SEARCH: Capability = Capability {
    bit: 2,
    name: "CAP_DAC_READ_SEARCH",
    purpose: "turn cgroup ids into paths, or read the state of pods and containers",
};
const SYSLOG: Capability = Capability {
    bit: 34,
    name: "CAP_SYSLOG",
    purpose: "learn where the kernel's variables are (the RTNL mutex, the node's limits)",
};
const SYS_RESOURCE: Capability = Capability {
    bit: 24,
    name: "CAP_SYS_RESOURCE",
    purpose: "raise RLIMIT_MEMLOCK, to which kernels before 5.11 charge maps",
};

/// What a process lacks, by its `/proc/PID/status`; `memlock` where the kernel charges maps to
/// `RLIMIT_MEMLOCK`.
#[must_use]
pub fn missing(status: &str, memlock: bool) -> Vec<Capability> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let has = |bit: u8| effective & (1 << bit) != 0;
    // CAP_SYS_ADMIN was all of bpf's and perf's rights before 5.8 and still is.
    let covered = |capability: &Capability| {
        has(capability.bit)
            || (has(SYS_ADMIN.bit) && [BPF, PERFMON].contains(capability))
            || (!memlock && *capability == SYS_RESOURCE)
    };
    let all = [BPF, PERFMON, SYS_ADMIN, SYS_PTRACE, DAC_READ_SEARCH, SYSLOG, SYS_RESOURCE];
    all.into_iter().filter(|capability| !covered(capability)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(status: &str, memlock: bool) -> Vec<&'static str> {
        missing(status, memlock).iter().map(|capability| capability.name).collect()
    }

    #[test]
    fn names_what_is_missing() {
        assert!(names("CapEff:\t000001ffffffffff\n", true).is_empty());
        let rest = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYSLOG"];
        assert_eq!(
            names("CapEff:\t0000000000200000\n", false),
            rest,
            "CAP_SYS_ADMIN has CAP_BPF's"
        );
        assert_eq!(names("garbage", true).len(), 7);
    }

    #[test]
    fn memlock_matters_where_maps_are_charged_to_it() {
        let all_but = format!("CapEff:\t{:016x}\n", !(1_u64 << SYS_RESOURCE.bit));
        assert_eq!(names(&all_but, true), ["CAP_SYS_RESOURCE"]);
        assert!(names(&all_but, false).is_empty());
    }
}
