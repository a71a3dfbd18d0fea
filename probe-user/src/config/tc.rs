//! `[tc]`

use serde::{Deserialize, Serialize};

use super::span::{Span, within};

/// Thresholds of the tc signal; the defaults come from the Calico incidents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcConfig {
    /// Length of the window that writes and toggles are counted in.
    pub window: Span,
    /// Writes of one filter or qdisc in the window that warn. An agent's restart makes 1, each known
    /// bug 6 or more.
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub warn_writes: usize,
    /// Writes in the window that are critical.
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub critical_writes: usize,
    /// Times a handle comes back (A, B, A) in the window that are critical.
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub critical_toggles: usize,
    /// Refused writes at one attach point in the window, with none accepted since, that warn.
    #[serde(deserialize_with = "within::<_, 1, 10_000>")]
    pub failing_writes: usize,
    /// bpf filters added at one attach point without a priority, and not deleted, that warn.
    #[serde(deserialize_with = "within::<_, 2, 10_000>")]
    pub prio_leak: usize,
    /// How long ingress and egress of an interface may disagree.
    pub asymmetry: Span,
    /// Share of a namespace's interfaces with filters that make a sweep when an agent writes them
    /// again (percent).
    #[serde(deserialize_with = "within::<_, 1, 100>")]
    pub sweep_percent: usize,
    /// Sweeps of one agent in the window that are critical.
    #[serde(deserialize_with = "within::<_, 1, 8>")]
    pub sweeps: usize,
    /// Interfaces with filters that a namespace must have at least for a sweep.
    #[serde(deserialize_with = "within::<_, 2, 10_000>")]
    pub sweep_least: usize,
    /// How long after its start an agent's writes are no sweep.
    pub sweep_grace: Span,
    /// How long the same program must be at one attach point more than once to warn.
    pub duplicate_after: Span,
    /// How long it must be quiet before a finding resolves.
    pub hold: Span,
}

impl Default for TcConfig {
    fn default() -> Self {
        Self {
            window: Span::seconds(60),
            warn_writes: 4,
            critical_writes: 12,
            critical_toggles: 3,
            failing_writes: 10,
            prio_leak: 4,
            asymmetry: Span::seconds(60),
            sweep_percent: 80,
            sweeps: 2,
            sweep_least: 4,
            sweep_grace: Span::seconds(120),
            duplicate_after: Span::seconds(10),
            hold: Span::seconds(120),
        }
    }
}
