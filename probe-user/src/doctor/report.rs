//! What the doctor found, as `-o json` prints it.

use serde::Serialize;

use crate::{
    kernel::facts::Facts,
    probe::{
        coverage::{Coverage, Unread},
        ground::{FieldsFrom, Ground},
        hook::Rung,
        refusal::Refusal,
    },
    signals::SIGNALS,
};

/// The whole report.
#[derive(Serialize)]
pub struct Report<'a> {
    /// Whether every hook sees something.
    pub covered: bool,
    pub kernel: &'a Facts,
    /// Where the places of kernel fields are from.
    pub fields_from: &'a FieldsFrom,
    /// Hierarchy that has the pids controller: `v1`, `v2` or `none`.
    pub pids_controller: &'static str,
    /// Fields of kernel structures whose place is not known, though every kernel should have them.
    pub missing_fields: Vec<String>,
    pub hooks: Vec<HookReport>,
    /// Signals that take nothing from the kernel's hooks, but look things up now and then.
    pub polled: Vec<&'static str>,
}

/// One hook.
#[derive(Serialize)]
pub struct HookReport {
    pub signal: &'static str,
    pub hook: &'static str,
    pub rung: Option<Rung>,
    /// Why there is nothing to see on this kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<&'static str>,
    /// The kernel module it waits for, and attaches to by itself when that is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<&'static str>,
    pub sees: &'static str,
    /// What this rung does not see.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub misses: String,
    /// Fields this hook would read and cannot, and what it does not tell without them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
    /// Better rungs and why they cannot be used.
    pub refused: Vec<RungRefusal>,
    /// Optional parts that could not be attached.
    pub without: Vec<PartRefusal>,
}

/// A rung that cannot be used.
#[derive(Serialize)]
pub struct RungRefusal {
    pub rung: Rung,
    pub why: String,
    /// What to do about it.
    pub todo: String,
}

/// A program that could not be attached.
#[derive(Serialize)]
pub struct PartRefusal {
    pub program: &'static str,
    pub why: String,
    pub todo: String,
}

impl<'a> Report<'a> {
    /// The report of what was found on a kernel.
    #[must_use]
    pub fn new(ground: &'a Ground, pids_controller: &'static str, coverage: &[Coverage]) -> Self {
        let polled = SIGNALS.iter().filter(|signal| signal.hooks.is_empty());
        Self {
            covered: coverage.iter().all(Coverage::is_covered),
            kernel: &ground.facts,
            fields_from: &ground.fields_from,
            pids_controller,
            missing_fields: ground.offsets.missing.iter().map(ToString::to_string).collect(),
            hooks: coverage.iter().map(hook).collect(),
            polled: polled.map(|signal| signal.name).collect(),
        }
    }
}

fn hook(covered: &Coverage) -> HookReport {
    HookReport {
        signal: covered.signal.name,
        hook: covered.hook.name,
        rung: covered.rung,
        not_applicable: covered.not_applicable,
        pending: covered.pending(),
        sees: covered.hook.sees,
        misses: covered.misses(),
        unread: covered.unread.clone(),
        refused: covered.refusals.iter().map(rung).collect(),
        without: covered.without.iter().map(part).collect(),
    }
}

fn rung((rung, refusal): &(Rung, Refusal)) -> RungRefusal {
    let (why, todo) = (refusal.to_string(), refusal.todo().into_owned());
    RungRefusal { rung: *rung, why, todo }
}

fn part((program, refusal): &(&'static str, Refusal)) -> PartRefusal {
    PartRefusal { program, why: refusal.to_string(), todo: refusal.todo().into_owned() }
}
