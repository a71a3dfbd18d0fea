//! Capabilities nodeprobe uses, what it cannot do without each (man 7 capabilities), and those it gives
//! up.

use std::io;

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet as Set, CapabilitySets, capabilities, capability_is_in_bounding_set,
        remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    },
};
use serde::Serialize;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    #[serde(skip)]
    set: Set,
    pub name: &'static str,
    /// What it is for, as the end of "cannot ...".
    pub purpose: &'static str,
}

pub const BPF: Capability =
    Capability { set: Set::BPF, name: "CAP_BPF", purpose: "load programs and maps" };
pub const PERFMON: Capability = Capability {
    set: Set::PERFMON,
    name: "CAP_PERFMON",
    purpose: "attach to functions and tracepoints, or read kernel memory",
};
pub const SYS_ADMIN: Capability = Capability {
    set: Set::SYS_ADMIN,
    name: "CAP_SYS_ADMIN",
    purpose: "look into other network namespaces (what is attached there already), mount tracefs, \
              open perf events where kernel.perf_event_paranoid is above 2, or open files when the \
              node is out of them",
};
const SYS_PTRACE: Capability = Capability {
    set: Set::SYS_PTRACE,
    name: "CAP_SYS_PTRACE",
    purpose: "see the executables, network namespaces, stacks and what the fds are of others' processes",
};
const CHECKPOINT_RESTORE: Capability = Capability {
    set: Set::CHECKPOINT_RESTORE,
    name: "CAP_CHECKPOINT_RESTORE",
    purpose: "name functions of programs whose file was replaced or removed",
};
const DAC_READ_SEARCH: Capability = Capability {
    set: Set::DAC_READ_SEARCH,
    name: "CAP_DAC_READ_SEARCH",
    purpose: "turn cgroup ids into paths, count the fds of other users' processes, or read the state of \
              pods and containers",
};
const SYSLOG: Capability = Capability {
    set: Set::SYSLOG,
    name: "CAP_SYSLOG",
    purpose: "learn where the kernel's variables are (the RTNL mutex, the node's limits)",
};
const SYS_RESOURCE: Capability = Capability {
    set: Set::SYS_RESOURCE,
    name: "CAP_SYS_RESOURCE",
    purpose: "raise RLIMIT_MEMLOCK, to which kernels before 5.11 charge maps",
};

/// Those that are of use after the hooks are attached: for hooks in modules that are loaded later, for maps
/// (kernels before 6.4 ask for `CAP_BPF` at each look into one), and for what is looked up and polled.
const LASTING: Set = BPF
    .set
    .union(PERFMON.set)
    .union(SYS_ADMIN.set)
    .union(SYS_PTRACE.set)
    .union(CHECKPOINT_RESTORE.set)
    .union(DAC_READ_SEARCH.set);

/// Those of a thread that writes findings somewhere: whoever runs the other side has a word in what it
/// does. Its certificates and tokens may be another user's.
const OF_SINKS: Set = DAC_READ_SEARCH.set;

/// The last capability a kernel can have.
const LAST: u32 = 63;

/// Lets this thread go on with what lasts, and all that it starts from now on: to be called before it
/// starts any. `low_port` where a port below 1024 is to be listened on later.
///
/// # Errors
/// When the kernel refuses, which leaves it with what it had.
pub fn give_up(low_port: bool) -> io::Result<()> {
    let low_port = if low_port { Set::NET_BIND_SERVICE } else { Set::empty() };
    let kept = LASTING | low_port;
    for capability in (0..=LAST).map(|bit| Set::from_bits_retain(1 << bit)) {
        if kept.contains(capability) {
            continue;
        }
        match capability_is_in_bounding_set(capability) {
            Ok(true) => match remove_capability_from_bounding_set(capability) {
                // Without CAP_SETPCAP the set stays; no_new_privs has the same effect.
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            },
            Ok(false) => {}
            // The kernel has no such capability, and none after it.
            Err(_) => break,
        }
    }
    keep(kept)?;
    Ok(set_no_new_privs(true)?)
}

/// Lets this thread go on with what a sink needs.
///
/// # Errors
/// When the kernel refuses, which leaves it with what it had.
pub fn give_up_in_sink() -> io::Result<()> {
    keep(OF_SINKS)
}

fn keep(kept: Set) -> io::Result<()> {
    let CapabilitySets { effective, permitted, .. } = capabilities(None)?;
    let (effective, permitted) = (effective & kept, permitted & kept);
    // Nothing is ever handed on to another program: there is none.
    let inheritable = Set::empty();
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?)
}

/// What this thread lacks; `memlock` where the kernel charges maps to `RLIMIT_MEMLOCK`.
#[must_use]
pub fn missing(memlock: bool) -> Vec<Capability> {
    missing_of(capabilities(None).map_or(Set::empty(), |sets| sets.effective), memlock)
}

fn missing_of(effective: Set, memlock: bool) -> Vec<Capability> {
    // CAP_SYS_ADMIN was all of bpf's, perf's and checkpoint's rights before 5.9 and still is.
    let parts = [BPF, PERFMON, CHECKPOINT_RESTORE];
    let covered = |capability: &Capability| {
        effective.contains(capability.set)
            || (effective.contains(SYS_ADMIN.set) && parts.contains(capability))
            || (!memlock && *capability == SYS_RESOURCE)
    };
    let all = [
        BPF,
        PERFMON,
        SYS_ADMIN,
        SYS_PTRACE,
        CHECKPOINT_RESTORE,
        DAC_READ_SEARCH,
        SYSLOG,
        SYS_RESOURCE,
    ];
    all.into_iter().filter(|capability| !covered(capability)).collect()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn names(effective: Set, memlock: bool) -> Vec<&'static str> {
        missing_of(effective, memlock).iter().map(|capability| capability.name).collect()
    }

    #[test]
    fn names_what_is_missing() {
        assert!(names(Set::all(), true).is_empty());
        let rest = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYSLOG"];
        assert_eq!(names(Set::SYS_ADMIN, false), rest, "CAP_SYS_ADMIN has CAP_BPF's");
        assert_eq!(names(Set::empty(), true).len(), 8);
    }

    #[test]
    fn memlock_matters_where_maps_are_charged_to_it() {
        let all_but = Set::all() - SYS_RESOURCE.set;
        assert_eq!(names(all_but, true), ["CAP_SYS_RESOURCE"]);
        assert!(names(all_but, false).is_empty());
    }

    #[test]
    fn what_is_given_up_is_gone_for_a_thread_and_all_it_starts() {
        let before = capabilities(None).unwrap();
        thread::spawn(move || {
            give_up(false).unwrap();
            let sets = capabilities(None).unwrap();
            assert_eq!(sets.effective, before.effective & LASTING);
            assert_eq!(sets.permitted, before.permitted & LASTING);
            thread::spawn(move || {
                give_up_in_sink().unwrap();
                let sets = capabilities(None).unwrap();
                assert_eq!(sets.permitted, before.permitted & OF_SINKS);
            })
            .join()
            .unwrap();
        })
        .join()
        .unwrap();
        assert_eq!(capabilities(None).unwrap().permitted, before.permitted, "of this one nothing");
    }
}
