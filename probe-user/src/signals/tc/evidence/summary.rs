//! What each kind of evidence says in one sentence.

use super::{
    Asymmetry, Duplicates, Failing, ForeignRemoval, PrioLeak, ProgramEvidence, Rewrites, Sweep,
    TcEvidence,
};
use crate::enrich::subject::Subject;

impl TcEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let (who, interface) = (subject.process_label(), subject.interface_label());
        match self {
            Self::Rewrites(rewrites) => rewrites.summary(&who, &interface),
            Self::Failing(failing) => failing.summary(&who, &interface),
            // Who added them is not known.
            Self::PrioLeak(PrioLeak { filters, parent, .. }) if subject.process.is_none() => {
                format!(
                    "filters had piled up on {parent} of {interface} before the agent started: \
                     {filters} at priorities that descend one by one"
                )
            }
            Self::PrioLeak(PrioLeak { filters, parent, .. }) => format!(
                "{who} piles up filters on {parent} of {interface}: {filters} without a priority \
                 of their own, none deleted"
            ),
            Self::ForeignRemoval(removal) => removal.summary(&who, &interface),
            Self::Asymmetry(asymmetry) => asymmetry.summary(&who, &interface),
            Self::Sweep(sweep) => {
                let Sweep { sweeps, interfaces, known_interfaces, window_seconds, .. } = sweep;
                let netns = subject.netns.unwrap_or(0);
                format!(
                    "{who} wrote the filters of {interfaces} of {known_interfaces} interfaces (netns \
                     {netns}) again {sweeps} times in {window_seconds} s"
                )
            }
            Self::Duplicates(Duplicates { parent, program, copies, .. }) => format!(
                "{who} left program {} at {parent} of {interface} {copies} times: each packet \
                 passes all of them",
                program.label()
            ),
        }
    }
}

impl ForeignRemoval {
    fn summary(&self, who: &str, interface: &str) -> String {
        let Self { removed, parent, victim, .. } = self;
        let (victim, pid) = (victim.comm.as_deref().unwrap_or("another agent"), victim.pid);
        if self.overwritten {
            return format!(
                "{who} put a {removed} of its own in the place of {victim}'s (pid {pid}) at {parent} of \
                 {interface}"
            );
        }
        format!(
            "{who} removed the {removed} at {parent} of {interface}, which {victim} (pid {pid}) had \
             attached to"
        )
    }
}

impl Asymmetry {
    fn summary(&self, who: &str, interface: &str) -> String {
        let Self { prio, seconds, writes_since, .. } = self;
        match (self.handles.as_slice(), self.missing) {
            ([ingress, egress], _) => format!(
                "ingress and egress of {interface} do not agree at prio {prio}: handle {ingress:#x} \
                 and {egress:#x} for {seconds} s, while {who} wrote them {writes_since} times"
            ),
            (_, missing) => format!(
                "{} of {interface} has lost its filter at prio {prio}, for {seconds} s; {who} changed \
                 it last",
                missing.unwrap_or("one direction")
            ),
        }
    }
}

impl Rewrites {
    fn summary(&self, who: &str, interface: &str) -> String {
        let what = match &self.kind {
            Some(kind) => format!("{kind} {} prio {}", self.parent, self.prio),
            None => match &self.program {
                Some(program) => format!("program {} at {}", program.label(), self.parent),
                None => format!("{} prio {}", self.parent, self.prio),
            },
        };
        let (writes, seconds) = (self.writes, self.window_seconds);
        match self.handles.as_slice() {
            [a, b] => format!(
                "{who} re-attaches {what} of {interface} without end: handle {a:#x} and {b:#x} took \
                 turns {} times, {writes} writes in {seconds} s",
                self.toggles
            ),
            _ => format!("{who} wrote {what} of {interface} {writes} times in {seconds} s"),
        }
    }
}

impl Failing {
    fn summary(&self, who: &str, interface: &str) -> String {
        let why = match (&self.message, self.errno) {
            (Some(message), _) => format!("the kernel says: {message}"),
            (None, Some(errno)) => format!("the kernel says {errno}"),
            (None, None) => "the kernel does not say why".into(),
        };
        let program = self.program.as_ref().map(ProgramEvidence::label);
        let kind = self.kind.as_deref().or(program).unwrap_or("tc");
        format!(
            "{who} fails to attach {kind} to {} of {interface}: {} times in {} s, never once \
             accepted; {why}",
            self.parent, self.failures, self.window_seconds
        )
    }
}
