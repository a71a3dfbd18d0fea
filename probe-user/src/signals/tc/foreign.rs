//! What one agent did to another one's filters.

use super::{
    Answer, Operation, TcRequest,
    evidence::{ForeignRemoval, ProgramEvidence, TcEvidence, parent_name},
    owners::Owner,
    rules::{FOREIGN_OVERWRITE, FOREIGN_REMOVAL},
    who,
};
use crate::{
    config::tc::TcConfig,
    event::{BootNs, Event},
    findings::{Condition, Evidence, Rule, Severity},
};

/// The latest harm done at an attach point by one kind of request.
#[derive(Clone)]
struct Harm {
    at: BootNs,
    total: u64,
    condition: Condition,
}

/// Removals and overwrites by somebody else at one attach point.
#[derive(Default)]
pub struct Harms {
    removal: Option<Harm>,
    overwrite: Option<Harm>,
}

impl Harms {
    /// Takes a request that hit somebody else's filter; `key` is that of the attach point.
    pub fn done(
        &mut self,
        key: u64,
        event: &Event,
        request: &TcRequest,
        victim: &Owner,
        config: &TcConfig,
    ) -> Condition {
        let (rule, harm): (&'static Rule, _) = match request.operation {
            Operation::Write => (&FOREIGN_OVERWRITE, &mut self.overwrite),
            Operation::Delete => (&FOREIGN_REMOVAL, &mut self.removal),
        };
        let at = event.context.at;
        let total = harm.as_ref().map_or(0, |harm| harm.total) + 1;
        let condition = Condition {
            rule,
            key,
            severity: Severity::Warning,
            at,
            hold: config.hold.ns(),
            who: who(event, request),
            evidence: Evidence::Tc(TcEvidence::ForeignRemoval(ForeignRemoval {
                removed: request.object.name(),
                overwritten: request.operation == Operation::Write,
                parent: parent_name(request.parent),
                program: request.bpf.program.as_deref().map(ProgramEvidence::of),
                victim: victim.agent.parent(),
                attached_seconds_ago: at.saturating_sub(victim.at) / 1_000_000_000,
                removals_total: total,
                success_assumed: request.answer == Answer::Unknown,
            })),
        };
        *harm = Some(Harm { at, total, condition: condition.clone() });
        condition
    }

    /// Renews what was done less than `window` ns ago.
    pub fn tick(&mut self, now: BootNs, window: u64, out: &mut Vec<Condition>) {
        for harm in [&mut self.removal, &mut self.overwrite] {
            harm.take_if(|harm| now.saturating_sub(harm.at) > window);
            out.extend(harm.iter().map(|harm| Condition { at: now, ..harm.condition.clone() }));
        }
    }
}

#[cfg(test)]
mod tests;
