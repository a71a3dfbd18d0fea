//! Attaching: for each hook the best rung that works, and why the better ones did not.

use std::collections::HashMap;

use probe_common::field::MISSING;

use super::{
    attach::Attacher,
    choice::Choices,
    coverage::Coverage,
    hook::{Attachment, Feature, Hook, Rung},
    refusal::{Refusal, can_run},
};
use crate::{
    kernel::{facts::Facts, fields::Offsets, tracefs},
    signals::{SIGNALS, Signal},
};

/// Climbs for each hook and remembers what the kernel refused.
pub struct Ladder<'a> {
    attacher: Attacher<'a>,
    facts: &'a Facts,
    offsets: &'a Offsets,
    choices: &'a Choices,
    refused: HashMap<Rung, Refusal>,
}

impl<'a> Ladder<'a> {
    /// A ladder whose hooks take the best rung, or the one that was chosen for them.
    pub fn new(
        attacher: Attacher<'a>,
        facts: &'a Facts,
        offsets: &'a Offsets,
        choices: &'a Choices,
    ) -> Self {
        Self { attacher, facts, offsets, choices, refused: HashMap::new() }
    }

    /// Attaches every hook of every signal.
    pub fn attach_all(&mut self) -> Vec<Coverage> {
        let hooks =
            SIGNALS.iter().flat_map(|signal| signal.hooks.iter().map(move |h| (*signal, h)));
        hooks.map(|(signal, hook)| self.attach(signal, hook)).collect()
    }

    /// Takes every program of a hook back, whatever it is attached to.
    pub fn detach(&mut self, hook: &'static Hook) {
        let parts = hook.steps.iter().flat_map(|step| step.programs);
        parts.for_each(|part| self.attacher.unload(part));
    }

    /// Attaches one hook. Its programs must not be attached yet.
    pub fn attach(&mut self, signal: &'static Signal, hook: &'static Hook) -> Coverage {
        let asked = self.choices.named(signal, hook);
        let mut coverage = Coverage::none(signal, hook);
        coverage.asked_for = asked.is_some();
        if let Some(Feature { absent, .. }) = needs(hook).find(|need| self.lacks(need)) {
            coverage.not_applicable = Some(absent);
            coverage.refusals.extend(asked.map(|rung| (rung, Refusal::NothingToSee(absent))));
            return coverage;
        }
        let only = self.choices.rung(signal, hook);
        // What is asked for is answered, also where the hook has no such rung.
        let may_use = |rung: &Rung| only.map_or(hook.step(*rung).is_some(), |only| only == *rung);
        for rung in Rung::LADDER.into_iter().filter(may_use) {
            match self.climb(hook, rung) {
                Ok(without) => {
                    coverage.without = without;
                    return coverage.on(rung, self.facts, self.offsets);
                }
                Err(refusal) => {
                    if refusal.is_of_rung() {
                        self.refused.insert(rung, refusal.clone());
                    }
                    coverage.refusals.push((rung, refusal));
                }
            }
        }
        // Without BTF nothing else tells that the kernel lacks a feature.
        let mut refusals = coverage.refusals.iter();
        if !self.offsets.are_known()
            && refusals.any(|(_, why)| matches!(why, Refusal::NoFunction(_)))
        {
            coverage.not_applicable = needs(hook).next().map(|need| need.absent);
        }
        coverage
    }

    /// Whether the kernel is known not to have something.
    fn lacks(&self, feature: &Feature) -> bool {
        self.offsets.are_known() && self.offsets.values[feature.shown_by] == MISSING
    }

    /// Attaches a hook on one rung, wholly or not at all. Returns the optional parts left out.
    fn climb(
        &mut self,
        hook: &'static Hook,
        rung: Rung,
    ) -> Result<Vec<(&'static str, Refusal)>, Refusal> {
        let step = hook.step(rung).ok_or(Refusal::NoSuchRung)?;
        if let Some(refusal) = self.refused.get(&rung) {
            return Err(refusal.clone());
        }
        can_run(rung, self.facts)?;
        self.can_read(hook, rung)?;
        if rung == Rung::Tracepoint {
            tracefs::ensure().map_err(|error| Refusal::NoTracefs(error.to_string()))?;
        }
        let (mut done, mut without) = (Vec::new(), Vec::new());
        let lacks = |part: &&Attachment| part.feature.is_some_and(|need| self.lacks(&need));
        let parts: Vec<_> = step.programs.iter().filter(|part| !lacks(part)).collect();
        for part in parts {
            match self.attacher.attach(part, self.facts) {
                Ok(()) => done.push(part),
                Err(refusal) if part.optional => without.push((part.program, refusal)),
                Err(refusal) => {
                    done.into_iter().chain([part]).for_each(|part| self.attacher.unload(part));
                    return Err(refusal);
                }
            }
        }
        Ok(without)
    }

    /// Whether a hook can read enough on a rung to see anything.
    fn can_read(&self, hook: &'static Hook, rung: Rung) -> Result<(), Refusal> {
        if !self.facts.lockdown.lets_read_memory() {
            let refusal = Refusal::LockedDown("programs that read kernel memory");
            return hook.unread.map(|_| ()).ok_or(refusal);
        }
        let vital = hook.reads_on(rung).filter(|reads| reads.vital);
        let missing: Vec<_> = vital.flat_map(|reads| reads.missing(self.offsets)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
        Err(Refusal::MissingFields(names.join(", ")))
    }
}

/// What the kernel must have for a hook to make sense.
fn needs(hook: &'static Hook) -> impl Iterator<Item = Feature> {
    let parts = hook.steps.iter().flat_map(|step| step.programs);
    parts.filter(|part| !part.optional).filter_map(|part| part.feature)
}
