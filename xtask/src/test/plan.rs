//! What is played in which guest. A fast part of all kernels, rungs and kinds of guests there are;
//! `cargo xtask matrix` plays all.

use crate::play::{GuestRun, variant::Variant};

/// Scenarios that judge by cgroups.
const OF_CGROUPS: &[&str] = &[
    "selftest",
    "selftest-broken",
    "fork-pids-max",
    "fork-causes",
    "fork-node-limits",
    "fork-headroom",
];

/// Scenarios in which it matters how the kernel is hooked; the others judge what is polled, or what
/// the agent makes of it.
const OF_RUNGS: &[&str] = &[
    "selftest",
    "canary",
    "tc-handle-toggle",
    "tc-agents",
    "tc-bpf-attach",
    "fork-pids-max",
    "fork-causes",
    "netlink-before-agent",
    "netlink-shared",
    "netlink-birthplace",
    "rtnl-pressure",
    "firewall-backends",
    "quiet-control",
];

/// What is done to the agent itself, or to the ground it stands on.
const TRIALS: &[&str] = &[
    "dying-node",
    "kubernetes",
    "privileges",
    "fault-bpf-objects",
    "fault-kill",
    "fault-two-agents",
    "fault-suspend",
    "fault-suspend-tc",
    "fault-clock",
    "fault-modules",
    "fault-late-module",
    "fault-left-out",
    "fault-churn",
];

/// One of each signal, quickly played.
const OF_SIGNALS: &[&str] = &["tc-handle-toggle", "fork-pids-max", "netlink-before-agent"];

/// All scenarios on the best rung of the oldest and the newest; the trials on the newest; those of hooks on
/// the kernels between, and on the lower rungs of the oldest and the newest; those of cgroups on the
/// other hierarchies; one of each signal in guests that are small, locked down or without BTF.
pub fn guests(kernels: &[String]) -> Vec<GuestRun> {
    let (Some(first), Some(last)) = (kernels.first(), kernels.last()) else { return Vec::new() };
    let (first, last) = (GuestRun::new(first), GuestRun::new(last));
    let middle = kernels.get(1).map_or(last.clone(), |series| GuestRun::new(series));
    let rungs = [(&first, "kprobe"), (&last, "tracepoint")];
    let rungs = rungs.map(|(guest, rung)| guest.clone().rung(rung).only(OF_RUNGS));
    let kinds = [
        (&first, "cgroup-v1", OF_CGROUPS),
        (&last, "cgroup-hybrid", OF_CGROUPS),
        (&first, "1-cpu-256-mb", OF_SIGNALS),
        (&last, "lockdown-integrity", OF_SIGNALS),
        (&last, "lockdown-confidentiality", &[]),
        (&middle, "no-btf", &[]),
        (&middle, "btf-file", OF_SIGNALS),
    ];
    let kinds = kinds.into_iter().filter_map(|(guest, kind, scenarios)| {
        Some(guest.clone().variant(Variant::named(kind)?).only(scenarios))
    });
    let between = kernels.iter().skip(1).rev().skip(1);
    let between = between.map(|series| GuestRun::new(series).only(OF_RUNGS));
    let mut all = vec![first.clone(), last.clone().only(TRIALS)];
    if kernels.len() > 1 {
        all.push(last.clone());
    }
    all.extend(between.chain(rungs).chain(kinds));
    all
}

#[cfg(test)]
mod tests {
    use scenarios::{scenario::find, trial};

    use super::*;

    #[test]
    fn every_chosen_scenario_and_guest_exists() {
        for name in OF_CGROUPS.iter().chain(OF_RUNGS).chain(OF_SIGNALS) {
            assert!(find(name).is_some() || trial::find(name).is_some(), "{name}");
        }
        let kernels = ["5.10", "6.1", "7.2"].map(str::to_owned);
        assert_eq!(guests(&kernels).len(), 13, "a kind of guest is unknown");
    }

    #[test]
    fn every_trial_is_played() {
        let own = trial::ALL.iter().filter(|trial| trial.own_guest).map(|trial| trial.name);
        assert!(own.eq(TRIALS.iter().copied()));
    }
}
