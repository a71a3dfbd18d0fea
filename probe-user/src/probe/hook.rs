//! What a hook is: a point of the kernel, and the ways to reach it from the best to the least.

use std::fmt;

use super::reads::Reads;

/// A way to attach, best first. A lower one sees less or costs more, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rung {
    /// fentry/fexit through BTF: cheapest, arguments and return value.
    Fexit,
    /// kprobe/kretprobe: for kernels that refuse tracing programs or have no BTF of their own.
    Kprobe,
    /// Tracepoints: for hardened kernels that allow neither.
    Tracepoint,
}

impl Rung {
    /// All rungs, best first.
    pub const LADDER: [Self; 3] = [Self::Fexit, Self::Kprobe, Self::Tracepoint];

    /// The rung as a metric label and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fexit => "fexit",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something the agent wants to hear from the kernel.
pub struct Hook {
    /// Short name, unique in its signal.
    pub name: &'static str,
    /// What is lost when no rung works, as the end of "cannot see ...".
    pub sees: &'static str,
    /// The ways, best first.
    pub steps: &'static [Step],
    /// What it reads of the kernel's structures.
    pub reads: &'static [&'static Reads],
    /// What its best rung does not see where no program may read kernel memory; `None` where it would
    /// see nothing at all.
    pub unread: Option<&'static str>,
}

impl Hook {
    /// How it is attached on a rung.
    #[must_use]
    pub fn step(&'static self, rung: Rung) -> Option<&'static Step> {
        self.steps.iter().find(|step| step.rung == rung)
    }

    /// The kernel module it lives in; `None` when it is on the kernel proper.
    #[must_use]
    pub fn module(&self) -> Option<&'static str> {
        self.steps.iter().flat_map(|step| step.programs).find_map(|part| part.module)
    }

    /// What it reads on a rung.
    pub fn reads_on(&'static self, rung: Rung) -> impl Iterator<Item = &'static Reads> {
        self.reads.iter().copied().filter(move |reads| reads.on.contains(&rung))
    }
}

/// A hook on one rung.
pub struct Step {
    pub rung: Rung,
    /// Programs that all must attach, unless marked optional.
    pub programs: &'static [Attachment],
    /// What this rung does not see, compared with the best one; empty for the best.
    pub misses: &'static str,
}

/// A program of the object and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Name of the program in the object.
    pub program: &'static str,
    pub target: Target,
    /// Whether the step works without it.
    pub optional: bool,
    /// The kernel variable it can do nothing without, an index of `probe_common::symbol`. Where it is
    /// not to be found the program is refused, and the hook has a gap.
    pub symbol: Option<usize>,
    /// What the kernel must have for the program to make sense. Where it is missing the program is
    /// left out, and nothing is missed.
    pub feature: Option<Feature>,
    /// The kernel module its target is in, unless the kernel has it built in. Until the module is loaded
    /// the hook is pending.
    pub module: Option<&'static str>,
}

/// Something not every kernel has. Without it there is nothing to see, and nothing is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Field that only kernels with it have: an index of `probe_common::field`.
    pub shown_by: usize,
    /// What a kernel without it is told, as a sentence.
    pub absent: &'static str,
}

/// An attach point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    Fentry(&'static str),
    Fexit(&'static str),
    Kprobe(&'static str),
    Kretprobe(&'static str),
    Tracepoint(&'static str, &'static str),
}

impl Target {
    /// The function it is; `None` for a tracepoint.
    #[must_use]
    pub fn function(self) -> Option<&'static str> {
        match self {
            Self::Fentry(function)
            | Self::Fexit(function)
            | Self::Kprobe(function)
            | Self::Kretprobe(function) => Some(function),
            Self::Tracepoint(..) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fentry(function) => write!(f, "fentry/{function}"),
            Self::Fexit(function) => write!(f, "fexit/{function}"),
            Self::Kprobe(function) => write!(f, "kprobe/{function}"),
            Self::Kretprobe(function) => write!(f, "kretprobe/{function}"),
            Self::Tracepoint(category, name) => write!(f, "tracepoint/{category}/{name}"),
        }
    }
}

impl Attachment {
    /// A program the step needs.
    #[must_use]
    pub const fn new(program: &'static str, target: Target) -> Self {
        Self { program, target, optional: false, symbol: None, feature: None, module: None }
    }

    /// A program the step can do without.
    #[must_use]
    pub const fn optional(program: &'static str, target: Target) -> Self {
        Self { optional: true, ..Self::new(program, target) }
    }

    /// The same program, which needs to know where a kernel variable is.
    #[must_use]
    pub const fn needing(self, symbol: usize) -> Self {
        Self { symbol: Some(symbol), ..self }
    }

    /// The same, only where the kernel has something.
    #[must_use]
    pub const fn only_with(self, feature: Feature) -> Self {
        Self { feature: Some(feature), ..self }
    }

    /// The same, with a target in a kernel module (its name as in /proc/modules).
    #[must_use]
    pub const fn in_module(self, module: &'static str) -> Self {
        Self { module: Some(module), ..self }
    }
}
