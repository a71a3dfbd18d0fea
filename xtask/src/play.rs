//! Scenarios in guests: which guest, what is played in it, and what came of it. The test plays a few
//! such guests, the matrix all of them.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Result;
use scenarios::{
    doctor,
    report::{Done, Verdict},
};

use crate::{artifacts::Artifacts, hooks, kernel, report, rootfs};

pub mod log;
pub mod variant;

use log::{Log, Stream};
use variant::{PLAIN, Variant};

/// Guests that run side by side at most; no more than there are processors, as without KVM a guest
/// that starves is not like any node.
const GUESTS_AT_ONCE: usize = 3;

/// Scenarios in one guest.
#[derive(Clone)]
pub struct GuestRun {
    /// The kernel, as the user calls it.
    pub series: String,
    /// The only rung the agent may use; the best that works without.
    pub rung: Option<&'static str>,
    /// What is special about the guest.
    pub variant: &'static Variant,
    /// Names of scenarios; all when empty.
    pub scenarios: Vec<String>,
}

/// What came of a guest.
#[derive(Default)]
pub struct Outcome {
    /// How each scenario ended, the doctor's and the table of hooks' own checks among them.
    pub verdicts: Vec<Verdict>,
    /// Their sum.
    pub done: Done,
}

impl GuestRun {
    /// All scenarios on an ordinary guest.
    pub fn new(series: &str) -> Self {
        Self { series: series.to_owned(), rung: None, variant: &PLAIN, scenarios: Vec::new() }
    }

    /// On one rung alone.
    pub fn rung(self, rung: &'static str) -> Self {
        Self { rung: Some(rung), ..self }
    }

    /// In a guest that is special.
    pub fn variant(self, variant: &'static Variant) -> Self {
        Self { variant, ..self }
    }

    /// Only these scenarios.
    pub fn only(self, scenarios: &[&str]) -> Self {
        let scenarios = scenarios.iter().map(|name| (*name).to_owned()).collect();
        Self { scenarios, ..self }
    }

    /// What this guest is called, where its kernel is called so.
    pub fn place(&self, kernel: &str) -> String {
        let place = [Some(kernel), self.rung, self.variant.label()];
        place.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Plays them.
    pub fn play(&self, artifacts: &Artifacts, stream: Stream) -> Result<Outcome> {
        let kernel = kernel::get(&self.series)?;
        let mut log = Log::new(&self.place(&kernel.release), stream);
        let rung = self.rung.into_iter().flat_map(|rung| ["--rung", rung]);
        let agent_args: Vec<&str> = self.variant.agent_args.iter().copied().chain(rung).collect();
        let mut words = vec!["run"];
        match &self.variant.blind {
            Some(blind) => words.extend([doctor::NAME].iter().chain(blind.plays)),
            None => words.extend(self.scenarios.iter().map(String::as_str)),
        }
        let variant = self.variant;
        let report = report::in_guest(&words, &agent_args, &kernel, variant, artifacts, &mut log)?;
        let (mut verdicts, mut done) = (report.verdicts.clone(), report.count());
        // Of the hooks the doctor has told in its own verdict; here is told whether that is known.
        for said in &report.hooks {
            let verdict = match (&variant.blind, variant.is_plain()) {
                (Some(blind), _) => blind.verdict(said),
                (None, true) => hooks::verdict(&self.series, said),
                (None, false) => continue,
            };
            log.verdict(&verdict);
            done += Done::of(&verdict);
            verdicts.push(verdict);
        }
        Ok(Outcome { verdicts, done })
    }
}

/// Plays guests, some at a time, and gives each one's outcome away as it comes; one that cannot run is a failure.
pub fn all(
    guests: &[GuestRun],
    artifacts: &Artifacts,
    stream: Stream,
    each: impl FnMut(&GuestRun, Outcome) + Send,
) -> Result<()> {
    // Fetched one after the other: apt takes a lock.
    rootfs::get()?;
    for guest in guests {
        kernel::get(&guest.series)?;
    }
    let (next, each) = (AtomicUsize::new(0), Mutex::new(each));
    let work = || {
        while let Some(guest) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = guest.play(artifacts, stream).unwrap_or_else(|error| {
                stream.say(&format!("{}: {error:#}", guest.series));
                let verdict = Verdict::new("guest", false, format!("{error:#}"));
                Outcome { verdicts: vec![verdict], done: Done::FAILED }
            });
            each.lock().unwrap_or_else(PoisonError::into_inner)(guest, outcome);
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let at_once = processors.min(GUESTS_AT_ONCE);
    thread::scope(|scope| (0..at_once).for_each(|_| drop(scope.spawn(work))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_is_like_no_other_says_so() {
        let guest = GuestRun::new("6.1").rung("kprobe").only(&["tc-agents"]);
        assert_eq!((guest.rung, guest.scenarios.len()), (Some("kprobe"), 1));
        assert!(guest.variant.label().is_none());
    }
}
