use probe_common::field::{self as f, FIELDS, MISSING};

use super::*;
use crate::{
    kernel::facts::{Kprobes, Lockdown},
    probe::refusal::can_run,
    signals::{firewall, fork, netlink, tc},
};

/// A kernel that allows everything.
fn facts() -> Facts {
    let missing_capabilities = Vec::new();
    let (btf, lockdown, kprobes) = (true, Lockdown::None, Kprobes::Armed);
    Facts { btf, lockdown, kprobes, missing_capabilities, ..Facts::read() }
}

fn all_but(missing: &[usize]) -> Offsets {
    let mut values = [0; f::COUNT];
    missing.iter().for_each(|index| values[*index] = MISSING);
    Offsets { values, missing: missing.iter().map(|index| FIELDS[*index]).collect() }
}

fn on(signal: &'static Signal, rung: Rung, facts: &Facts, offsets: &Offsets) -> Coverage {
    Coverage::none(signal, &signal.hooks[0]).on(rung, facts, offsets)
}

#[test]
fn a_missing_field_is_named_with_what_is_not_seen_without_it() {
    let offsets = all_but(&[f::NET_DEVICE_NAME, f::NET_COOKIE]);
    let covered = on(&tc::SIGNAL, Rung::Fexit, &facts(), &offsets);
    let expected = "the names of interfaces (field net_device.name is missing)";
    assert_eq!(covered.misses(), expected, "older kernels have no net.net_cookie");
    assert!(covered.is_covered());
    assert_eq!(on(&netlink::SIGNAL, Rung::Fexit, &facts(), &offsets).misses(), "");
}

#[test]
fn without_any_field_what_is_not_seen_is_enough() {
    let covered = on(&fork::SIGNAL, Rung::Fexit, &facts(), &Offsets::unknown());
    let misses = covered.misses();
    assert!(misses.contains("that pids.max of a cgroup stopped a clone"), "{misses}");
    assert!(!misses.contains("task_struct"), "{misses}");
}

#[test]
fn hidden_memory_is_told_once_and_for_all() {
    let facts = Facts { lockdown: Lockdown::Confidentiality, ..facts() };
    let covered = on(&fork::SIGNAL, Rung::Fexit, &facts, &all_but(&[]));
    assert!(covered.misses().starts_with("which limit stopped a clone"), "{}", covered.misses());
    assert!(covered.unread.is_empty());
}

#[test]
fn what_was_asked_for_must_run() {
    let none = Coverage::none(&tc::SIGNAL, &tc::SIGNAL.hooks[0]);
    assert!(!none.is_covered() && !none.is_refused_as_asked());
    assert!(Coverage { asked_for: true, ..none }.is_refused_as_asked());
}

#[test]
fn facts_alone_tell_which_rungs_cannot_run() {
    let all = facts();
    assert!(Rung::LADDER.iter().all(|rung| can_run(*rung, &all).is_ok()));
    let without_btf = Facts { btf: false, ..all.clone() };
    assert_eq!(can_run(Rung::Fexit, &without_btf), Err(Refusal::NoBtf));
    let none = Facts { kprobes: Kprobes::None, ..all.clone() };
    assert_eq!(can_run(Rung::Kprobe, &none), Err(Refusal::NoKprobes));
    let off = Facts { kprobes: Kprobes::Off, ..all.clone() };
    assert_eq!(can_run(Rung::Kprobe, &off), Err(Refusal::KprobesOff));
    let integrity = Facts { lockdown: Lockdown::Integrity, ..all.clone() };
    assert!(Rung::LADDER.iter().all(|rung| can_run(*rung, &integrity).is_ok()));
    let locked = Facts { lockdown: Lockdown::Confidentiality, ..all };
    assert!(can_run(Rung::Fexit, &locked).is_ok());
    assert_eq!(can_run(Rung::Kprobe, &locked), Err(Refusal::LockedDown("kprobes")));
    assert_eq!(can_run(Rung::Tracepoint, &locked), Err(Refusal::LockedDown("tracefs")));
}

#[test]
fn a_hook_waits_for_its_module_and_that_is_no_gap() {
    let refusal = Refusal::ModuleNotLoaded { module: "nf_tables", function: "nf_tables_commit" };
    let hook = &firewall::SIGNAL.hooks[0];
    let waiting = Coverage {
        refusals: vec![(Rung::Kprobe, refusal)],
        asked_for: true,
        ..Coverage::none(&firewall::SIGNAL, hook)
    };
    assert_eq!((waiting.pending(), waiting.rung_name()), (Some("nf_tables"), Coverage::PENDING));
    assert!(waiting.is_covered() && !waiting.is_refused_as_asked());
    assert!(waiting.todo()[0].contains("attaches by itself"), "{:?}", waiting.todo());
    let there = waiting.on(Rung::Kprobe, &facts(), &all_but(&[]));
    assert_eq!((there.pending(), there.rung_name()), (None, "kprobe"));
}
