//! What is played in which guest. A fast part of all kernels, rungs and hierarchies there are.

use anyhow::Result;
use scenarios::report::Done;

use super::Log;
use crate::{artifacts::Artifacts, guest::Cgroups, kernel, report};

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
    "quiet-control",
];

/// All scenarios on each kernel's best rung; those of hooks on the lower rungs of the oldest and the
/// newest, those of cgroups on the other hierarchies.
pub fn guests(kernels: &[String]) -> Vec<GuestRun> {
    let (first, last) = (kernels.first(), kernels.last());
    let best = kernels.iter().map(|series| GuestRun::new(series));
    let kprobe = first.map(|series| GuestRun::on_rung(series, "kprobe"));
    let tracepoint = last.map(|series| GuestRun::on_rung(series, "tracepoint"));
    let v1 = first.map(|series| GuestRun::with_cgroups(series, Cgroups::V1));
    let hybrid = last.map(|series| GuestRun::with_cgroups(series, Cgroups::Hybrid));
    best.chain(kprobe).chain(tracepoint).chain(v1).chain(hybrid).collect()
}

/// Scenarios in one guest.
pub struct GuestRun {
    pub series: String,
    /// The only rung the agent may use; the best that works without.
    rung: Option<&'static str>,
    cgroups: Cgroups,
    /// Names; all when empty.
    scenarios: &'static [&'static str],
}

impl GuestRun {
    fn new(series: &str) -> Self {
        let (cgroups, scenarios) = (Cgroups::default(), &[]);
        Self { series: series.to_owned(), rung: None, cgroups, scenarios }
    }

    fn on_rung(series: &str, rung: &'static str) -> Self {
        Self { rung: Some(rung), scenarios: OF_RUNGS, ..Self::new(series) }
    }

    fn with_cgroups(series: &str, cgroups: Cgroups) -> Self {
        Self { cgroups, scenarios: OF_CGROUPS, ..Self::new(series) }
    }

    /// Plays them.
    pub fn play(&self, artifacts: &Artifacts) -> Result<Done> {
        let kernel = kernel::get(&self.series)?;
        let rung = self.rung.map(|rung| ["--rung", rung]);
        let agent_args = rung.as_ref().map_or(&[][..], |args| &args[..]);
        let cgroups = self.cgroups.word();
        let place = [Some(kernel.release.as_str()), self.rung, cgroups.as_deref()];
        let mut log = Log::new(&place.into_iter().flatten().collect::<Vec<_>>().join(" "));
        let words: Vec<&str> = ["run"].iter().chain(self.scenarios).copied().collect();
        let report =
            report::in_guest(&words, agent_args, &kernel, self.cgroups, artifacts, &mut log)?;
        Ok(report.count())
    }
}

#[cfg(test)]
mod tests {
    use scenarios::{check, scenario::find};

    use super::*;

    #[test]
    fn every_chosen_scenario_exists() {
        for name in OF_CGROUPS.iter().chain(OF_RUNGS) {
            assert!(find(name).is_some() || check::find(name).is_some(), "{name}");
        }
    }
}
