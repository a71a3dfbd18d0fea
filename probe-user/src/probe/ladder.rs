//! Attaching: for each hook the best rung that works, and why the better ones did not.

use std::collections::{HashMap, HashSet};

use aya::{
    Btf, Ebpf,
    programs::{FEntry, FExit, KProbe, Program, ProgramError, TracePoint},
};
use probe_common::field::MISSING;

use super::{
    hook::{Attachment, Feature, Hook, Rung, Step, Target},
    refusal::{Refusal, can_run, classify},
};
use crate::{
    kernel::{facts::Facts, fields::Offsets, tracefs},
    signals::{SIGNALS, Signal},
};

/// What became of one hook.
pub struct Coverage {
    pub signal: &'static Signal,
    pub hook: &'static Hook,
    /// The rung in use; `None` when none works and the hook sees nothing.
    pub rung: Option<Rung>,
    /// Rungs that were tried and refused, best first.
    pub refusals: Vec<(Rung, Refusal)>,
    /// Optional programs of the rung in use that could not attach.
    pub without: Vec<(&'static str, Refusal)>,
    /// Why there is nothing to see on this kernel, which is no gap.
    pub not_applicable: Option<&'static str>,
}

impl Coverage {
    /// Rung of a hook that has nothing to see here, as a metric label.
    pub const NOT_APPLICABLE: &'static str = "not_applicable";

    /// Whether nothing is missed: a rung works, or there is nothing to see.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.rung.is_some() || self.not_applicable.is_some()
    }

    /// The rung as a metric label.
    #[must_use]
    pub fn rung_name(&self) -> &'static str {
        match (self.rung, self.not_applicable) {
            (Some(rung), _) => rung.name(),
            (None, Some(_)) => Self::NOT_APPLICABLE,
            (None, None) => "none",
        }
    }

    /// What the rung in use does not see; empty when all is seen or nothing is.
    #[must_use]
    pub fn misses(&self) -> &'static str {
        let step = self.rung.and_then(|rung| step(self.hook, rung));
        step.map_or("", |step| step.misses)
    }

    /// Why the rungs that were tried do not work.
    #[must_use]
    pub fn why(&self) -> String {
        let why = self.refusals.iter().map(|(rung, refusal)| format!("no {rung}: {refusal}"));
        why.collect::<Vec<_>>().join("; ")
    }
}

fn step(hook: &'static Hook, rung: Rung) -> Option<&'static Step> {
    hook.steps.iter().find(|step| step.rung == rung)
}

/// Attaches programs and remembers what the kernel refused.
pub struct Ladder<'a> {
    ebpf: &'a mut Ebpf,
    btf: Option<&'a Btf>,
    facts: &'a Facts,
    offsets: &'a Offsets,
    forced: Option<Rung>,
    attached: HashSet<(&'static str, String)>,
    refused: HashMap<Rung, Refusal>,
}

impl<'a> Ladder<'a> {
    /// A ladder over the programs of `ebpf`; `forced` allows only one rung.
    pub fn new(
        ebpf: &'a mut Ebpf,
        btf: Option<&'a Btf>,
        facts: &'a Facts,
        offsets: &'a Offsets,
        forced: Option<Rung>,
    ) -> Self {
        let (attached, refused) = (HashSet::new(), HashMap::new());
        Self { ebpf, btf, facts, offsets, forced, attached, refused }
    }

    /// Attaches every hook of every signal.
    pub fn attach_all(&mut self) -> Vec<Coverage> {
        let hooks =
            SIGNALS.iter().flat_map(|signal| signal.hooks.iter().map(move |h| (*signal, h)));
        hooks.map(|(signal, hook)| self.attach(signal, hook)).collect()
    }

    fn attach(&mut self, signal: &'static Signal, hook: &'static Hook) -> Coverage {
        let mut refusals = Vec::new();
        let coverage = |rung, refusals, without| Coverage {
            signal,
            hook,
            rung,
            refusals,
            without,
            not_applicable: None,
        };
        if let Some(feature) = self.lacks_for(hook) {
            let nothing = coverage(None, Vec::new(), Vec::new());
            return Coverage { not_applicable: Some(feature.absent), ..nothing };
        }
        for rung in Rung::LADDER {
            if self.forced.is_some_and(|forced| forced != rung) {
                continue;
            }
            match self.climb(hook, rung) {
                Ok(without) => {
                    return coverage(Some(rung), refusals, without);
                }
                Err(refusal) => {
                    if refusal.is_of_rung() {
                        self.refused.insert(rung, refusal.clone());
                    }
                    refusals.push((rung, refusal));
                }
            }
        }
        coverage(None, refusals, Vec::new())
    }

    /// What the kernel would need for a hook to make sense, if it has it not.
    fn lacks_for(&self, hook: &'static Hook) -> Option<Feature> {
        let mut parts = hook.steps.iter().flat_map(|step| step.programs);
        parts.find_map(|part| part.feature.filter(|need| !part.optional && self.lacks(need)))
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
        let step = step(hook, rung).ok_or(Refusal::NoSuchRung)?;
        if let Some(refusal) = self.refused.get(&rung) {
            return Err(refusal.clone());
        }
        can_run(rung, self.facts)?;
        if rung == Rung::Tracepoint {
            tracefs::ensure().map_err(|error| Refusal::NoTracefs(error.to_string()))?;
        }
        let (mut done, mut without) = (Vec::new(), Vec::new());
        let lacks = |part: &&Attachment| part.feature.is_some_and(|need| self.lacks(&need));
        let parts: Vec<_> = step.programs.iter().filter(|part| !lacks(part)).collect();
        for part in parts {
            match self.attach_part(part) {
                Ok(()) => done.push(part),
                Err(refusal) if part.optional => without.push((part.program, refusal)),
                Err(refusal) => {
                    done.into_iter().for_each(|part| self.unload(part));
                    return Err(refusal);
                }
            }
        }
        Ok(without)
    }

    fn attach_part(&mut self, part: &Attachment) -> Result<(), Refusal> {
        if let Some(symbol) = part.symbol {
            self.facts.symbols.check(symbol)?;
        }
        let key = (part.program, part.target.to_string());
        if self.attached.contains(&key) {
            return Ok(());
        }
        let program = self.ebpf.program_mut(part.program).ok_or_else(|| Refusal::Other {
            target: part.target,
            reason: format!("the object has no program {}", part.program),
        })?;
        let btf = self.btf.ok_or(Refusal::NoBtf);
        let result = match part.target {
            Target::Fentry(function) => attach_fentry(program, function, btf?),
            Target::Fexit(function) => attach_fexit(program, function, btf?),
            Target::Kprobe(function) | Target::Kretprobe(function) => {
                attach_kprobe(program, function)
            }
            Target::Tracepoint(category, name) => attach_tracepoint(program, category, name),
        };
        result.map_err(|error| classify(part.program, part.target, &error))?;
        self.attached.insert(key);
        Ok(())
    }

    /// Takes back a program of a step that did not work as a whole.
    fn unload(&mut self, part: &Attachment) {
        self.attached.retain(|(program, _)| *program != part.program);
        // Not loaded is what we want anyway.
        let _ = match self.ebpf.program_mut(part.program) {
            Some(Program::FEntry(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// A program that goes to several targets is loaded once.
fn once(loaded: Result<(), ProgramError>) -> Result<(), ProgramError> {
    match loaded {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        other => other,
    }
}

fn attach_fentry(program: &mut Program, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    let program: &mut FEntry = program.try_into()?;
    once(program.load(function, btf))?;
    program.attach().map(|_| ())
}

fn attach_fexit(program: &mut Program, function: &str, btf: &Btf) -> Result<(), ProgramError> {
    let program: &mut FExit = program.try_into()?;
    once(program.load(function, btf))?;
    program.attach().map(|_| ())
}

fn attach_kprobe(program: &mut Program, function: &str) -> Result<(), ProgramError> {
    let program: &mut KProbe = program.try_into()?;
    once(program.load())?;
    program.attach(function, 0).map(|_| ())
}

fn attach_tracepoint(
    program: &mut Program,
    category: &str,
    name: &str,
) -> Result<(), ProgramError> {
    let program: &mut TracePoint = program.try_into()?;
    once(program.load())?;
    program.attach(category, name).map(|_| ())
}
