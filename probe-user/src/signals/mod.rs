//! The registry of signals. Dispatch, names, hooks, metric labels and documentation derive from it;
//! a new signal is one file here and one line in [`SIGNALS`].

use probe_common::wire;

use crate::{
    config::Config,
    decode::DecodeError,
    event::{Body, BootNs, Event},
    findings::{Condition, Rule},
    probe::hook::Hook,
};

pub(crate) mod bounded;
pub mod fd;
pub mod firewall;
pub mod fork;
pub mod netlink;
pub mod rtnl;
#[cfg(test)]
mod sums;
pub mod tc;
#[cfg(test)]
pub mod testing;
pub mod tools;
mod trend;
mod window;

/// A family of hooks, events and a detector.
pub struct Signal {
    /// Index of the signal on the wire: the high byte of its record kinds, its block of counters.
    pub wire: u32,
    /// Name in findings, metrics and documentation.
    pub name: &'static str,
    /// What it takes from the kernel; nothing when it lives by polled facts alone.
    pub hooks: &'static [Hook],
    /// Record kinds with their metric labels.
    pub kinds: &'static [(u16, &'static str)],
    /// What it can raise.
    pub rules: &'static [&'static Rule],
    /// Decodes a record of one of `kinds`.
    pub decode: fn(&wire::Header, &[u8]) -> Result<Body, DecodeError>,
    /// Makes the detector.
    pub detector: fn(&Config) -> Box<dyn Detector>,
}

/// Judges events. Pure: time comes as an argument and nothing is read from outside, so live use,
/// replay and tests run the same code.
pub trait Detector: Send {
    /// Takes one event; conditions that began or got worse go to `out`.
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>);

    /// Hears of a condition that holds, of whatever signal: it may be the cause of what comes here.
    fn hear(&mut self, _condition: &Condition) {}

    /// Takes the time; conditions that hold at `now` go to `out`.
    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>);

    /// Judges by other settings from now on, and keeps what it knows.
    fn reconfigure(&mut self, config: &Config);

    /// Things it keeps state for (interfaces, cgroups, sockets): bounded, and exported.
    fn tracked(&self) -> usize;

    /// Things forgotten early, or never taken in, for want of room.
    fn evicted(&self) -> u64;
}

/// Every signal, in the order of their wire index.
pub static SIGNALS: [&Signal; 6] =
    [&tc::SIGNAL, &fork::SIGNAL, &netlink::SIGNAL, &rtnl::SIGNAL, &fd::SIGNAL, &firewall::SIGNAL];

/// The signal that owns a record kind.
#[must_use]
pub fn of_kind(kind: u16) -> Option<&'static Signal> {
    let signal = SIGNALS.get(usize::from(kind >> 8))?;
    signal.kinds.iter().any(|(known, _)| *known == kind).then_some(*signal)
}

/// The metric label of a record kind.
#[must_use]
pub fn kind_label(kind: u16) -> Option<(&'static str, &'static str)> {
    let signal = of_kind(kind)?;
    signal.kinds.iter().find(|(known, _)| *known == kind).map(|(_, label)| (signal.name, *label))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn registry_is_in_wire_order_and_kinds_are_unique() {
        assert_eq!(SIGNALS.len(), wire::signal::COUNT as usize);
        let mut kinds = HashSet::new();
        for (index, signal) in SIGNALS.iter().enumerate() {
            assert_eq!(signal.wire as usize, index, "{}", signal.name);
            assert_eq!(signal.hooks.is_empty(), signal.kinds.is_empty(), "{}", signal.name);
            for (kind, label) in signal.kinds {
                assert_eq!(u32::from(kind >> 8), signal.wire, "{label}");
                assert!(kinds.insert(*kind), "{label} twice");
                assert_eq!(kind_label(*kind), Some((signal.name, *label)));
            }
        }
    }

    #[test]
    fn rules_and_hooks_have_unique_names() {
        let rules: Vec<_> = SIGNALS.iter().flat_map(|s| s.rules).map(|r| r.name).collect();
        assert_eq!(rules.iter().collect::<HashSet<_>>().len(), rules.len());
        for signal in SIGNALS {
            let hooks: HashSet<_> = signal.hooks.iter().map(|hook| hook.name).collect();
            assert_eq!(hooks.len(), signal.hooks.len(), "{}", signal.name);
            assert!(signal.rules.iter().all(|rule| rule.name.starts_with(signal.name)));
        }
    }
}
