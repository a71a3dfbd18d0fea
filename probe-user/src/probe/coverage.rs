//! What became of the hooks: what the agent sees, what it does not, and why.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    choice::full_name,
    hook::{Hook, Rung},
    reads::Reads,
    refusal::Refusal,
};
use crate::{
    kernel::{facts::Facts, fields::Offsets},
    signals::Signal,
};

/// Kernel fields whose place is not known, and what is not told without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// `struct.field` each; none where no place of any field is known.
    pub fields: Vec<String>,
    /// As the end of "does not see ...".
    pub tells: &'static str,
}

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
    /// Fields it would read on the rung in use and cannot.
    pub unread: Vec<Unread>,
    /// Whether no program may read kernel memory.
    pub memory_hidden: bool,
    /// Why there is nothing to see on this kernel, which is no gap.
    pub not_applicable: Option<&'static str>,
    /// Whether the only rung that was tried was asked for by the hook's name.
    pub asked_for: bool,
}

impl Coverage {
    /// Rung of a hook that has nothing to see here, as a metric label.
    pub const NOT_APPLICABLE: &'static str = "not_applicable";
    /// Rung of a hook that waits for its kernel module, as a metric label.
    pub const PENDING: &'static str = "pending";

    /// The programs of the rung in use.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> + use<> {
        let step = self.rung.and_then(|rung| self.hook.step(rung));
        step.into_iter().flat_map(|step| step.programs).map(|part| part.program)
    }

    /// Of a hook that nothing was tried for yet.
    #[must_use]
    pub fn none(signal: &'static Signal, hook: &'static Hook) -> Self {
        Self {
            signal,
            hook,
            rung: None,
            refusals: Vec::new(),
            without: Vec::new(),
            unread: Vec::new(),
            memory_hidden: false,
            not_applicable: None,
            asked_for: false,
        }
    }

    /// Of a hook that is attached.
    #[must_use]
    pub fn on(self, rung: Rung, facts: &Facts, offsets: &Offsets) -> Self {
        let memory_hidden = !facts.lockdown.lets_read_memory();
        let unread = if memory_hidden { Vec::new() } else { unread(self.hook, rung, offsets) };
        Self { rung: Some(rung), unread, memory_hidden, ..self }
    }

    /// `SIGNAL/HOOK`.
    #[must_use]
    pub fn name(&self) -> String {
        full_name(self.signal, self.hook)
    }

    /// The kernel module it waits for: what it would see cannot happen before that is loaded.
    #[must_use]
    pub fn pending(&self) -> Option<&'static str> {
        self.refusals.iter().find_map(|(_, refusal)| match refusal {
            Refusal::ModuleNotLoaded { module, .. } if self.rung.is_none() => Some(*module),
            _ => None,
        })
    }

    /// Whether nothing is missed: a rung works, or there is nothing to see (yet).
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.rung.is_some() || self.not_applicable.is_some() || self.pending().is_some()
    }

    /// Whether it does not run on the rung that was asked for by its name.
    #[must_use]
    pub fn is_refused_as_asked(&self) -> bool {
        self.asked_for && self.rung.is_none() && self.pending().is_none()
    }

    /// The rung as a metric label.
    #[must_use]
    pub fn rung_name(&self) -> &'static str {
        match (self.rung, self.not_applicable) {
            (Some(rung), _) => rung.name(),
            (None, Some(_)) => Self::NOT_APPLICABLE,
            (None, None) if self.pending().is_some() => Self::PENDING,
            (None, None) => "none",
        }
    }

    /// What the rung in use does not see; empty when all is seen or nothing is.
    #[must_use]
    pub fn misses(&self) -> String {
        let Some(rung) = self.rung else { return String::new() };
        let of_rung = self.hook.step(rung).map_or("", |step| step.misses);
        let hidden = self.hook.unread.filter(|_| self.memory_hidden).unwrap_or_default();
        let parts = [of_rung, hidden].into_iter().filter(|part| !part.is_empty());
        let unread = self.unread.iter().map(|unread| match unread.fields.as_slice() {
            [] => unread.tells.to_owned(),
            [one] => format!("{} (field {one} is missing)", unread.tells),
            fields => format!("{} (fields {} are missing)", unread.tells, fields.join(", ")),
        });
        parts.map(str::to_owned).chain(unread).collect::<Vec<_>>().join("; ")
    }

    /// Why the rungs that were tried do not work.
    #[must_use]
    pub fn why(&self) -> String {
        let why = self.refusals.iter().map(|(rung, refusal)| format!("no {rung}: {refusal}"));
        why.collect::<Vec<_>>().join("; ")
    }

    /// What can be done about it, a sentence each.
    #[must_use]
    pub fn todo(&self) -> Vec<String> {
        // A rung that the hook does not have is nothing to work on.
        let refusals = self.refusals.iter().map(|(_, refusal)| refusal);
        let real = refusals.filter(|refusal| self.asked_for || **refusal != Refusal::NoSuchRung);
        let all: BTreeSet<_> = real.map(|refusal| refusal.todo().into_owned()).collect();
        all.into_iter().collect()
    }
}

/// Purposes for which a hook cannot read what it needs. Where no place of any field is known there
/// is no use in naming all.
fn unread(hook: &'static Hook, rung: Rung, offsets: &Offsets) -> Vec<Unread> {
    let missing = |reads: &&Reads| {
        let fields = reads.missing(offsets);
        let named = fields.iter().filter(|_| offsets.are_known()).map(ToString::to_string);
        (!fields.is_empty()).then(|| Unread { fields: named.collect(), tells: reads.tells })
    };
    hook.reads_on(rung).filter_map(|reads| missing(&reads)).collect()
}

#[cfg(test)]
mod tests;
