//! What is special about a guest: its size, its cgroup hierarchies, what its kernel forbids.

use scenarios::{
    doctor::{Hook, Hooks},
    init::BTF_HIDDEN,
    report::Verdict,
};

use crate::guest::Cgroups;

/// A kind of guest.
#[derive(Debug, Eq, PartialEq)]
pub struct Variant {
    /// What the user calls it.
    pub name: &'static str,
    /// The cgroup hierarchies.
    pub cgroups: Cgroups,
    /// Memory in MiB.
    pub memory: u32,
    /// Virtual processors.
    pub cpus: u32,
    /// More words for the kernel's command line.
    pub append: &'static str,
    /// More arguments for the agent.
    pub agent_args: &'static [&'static str],
    /// Why no scenario of hooks can be played.
    pub blind: Option<Blind>,
}

/// A guest in which the agent sees too little for scenarios.
#[derive(Debug, Eq, PartialEq)]
pub struct Blind {
    /// The kernel's reason.
    pub why: &'static str,
    /// What needs no hook, and is played.
    pub plays: &'static [&'static str],
    /// What may work nevertheless.
    left: Left,
}

/// What is left of the hooks.
#[derive(Debug, Eq, PartialEq)]
enum Left {
    /// Those that are not on the best rung.
    Lower,
    /// One, as `signal/hook`.
    Only(&'static str),
}

/// An ordinary guest.
pub const PLAIN: Variant = Variant {
    name: "plain",
    cgroups: Cgroups::V2,
    memory: 1024,
    cpus: 2,
    append: "",
    agent_args: &[],
    blind: None,
};

/// Needs no hook: counts of fds are polled.
const POLLED: &[&str] = &["fd-leak"];

/// All others.
pub static ALL: &[Variant] = &[
    Variant { name: "cgroup-v1", cgroups: Cgroups::V1, ..PLAIN },
    Variant { name: "cgroup-hybrid", cgroups: Cgroups::Hybrid, ..PLAIN },
    Variant { name: "lockdown-integrity", append: "lockdown=integrity", ..PLAIN },
    Variant {
        name: "lockdown-confidentiality",
        append: "lockdown=confidentiality",
        blind: Some(Blind {
            why: "BPF may not read the memory of a kernel locked down for confidentiality",
            plays: POLLED,
            // It reads nothing but its arguments, and does not know the cause.
            left: Left::Only("fork/clone"),
        }),
        ..PLAIN
    },
    Variant {
        name: "no-btf",
        append: BTF_HIDDEN,
        blind: Some(Blind {
            why: "without BTF no field of the kernel is known",
            plays: POLLED,
            left: Left::Lower,
        }),
        ..PLAIN
    },
    Variant {
        name: "btf-file",
        append: BTF_HIDDEN,
        agent_args: &["--btf", scenarios::init::BTF_COPY],
        ..PLAIN
    },
    Variant { name: "1-cpu", cpus: 1, ..PLAIN },
    Variant { name: "8-cpus", cpus: 8, ..PLAIN },
    Variant { name: "256-mb", memory: 256, ..PLAIN },
    Variant { name: "1-cpu-256-mb", cpus: 1, memory: 256, ..PLAIN },
];

impl Variant {
    /// One of [`ALL`].
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|variant| variant.name == name)
    }

    /// Whether nothing is special.
    pub fn is_plain(&self) -> bool {
        *self == PLAIN
    }

    /// Its name, where something is special.
    pub fn label(&self) -> Option<&'static str> {
        (!self.is_plain()).then_some(self.name)
    }
}

impl Blind {
    /// Whether the agent is blind indeed: where it sees, the scenarios must be played.
    pub fn verdict(&self, said: &Hooks) -> Verdict {
        let sees = |hook: &&Hook| match (hook.rung.as_deref(), &self.left) {
            (None, _) => false,
            (Some(rung), Left::Lower) => rung == "fexit",
            (Some(_), Left::Only(name)) => format!("{}/{}", hook.signal, hook.hook) != *name,
        };
        let (pass, detail) = match said.hooks.iter().find(sees) {
            Some(Hook { signal, hook, rung, .. }) => {
                let rung = rung.as_deref().unwrap_or_default();
                (
                    false,
                    format!("{signal}/{hook} works on the {rung} rung: play all scenarios here"),
                )
            }
            None => (true, format!("no scenario of hooks: {}", self.why)),
        };
        Verdict::new("blind", pass, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(rung: Option<&str>) -> Hooks {
        let (signal, hook) = ("tc".to_owned(), "requests".to_owned());
        let (rung, refused) = (rung.map(str::to_owned), Vec::new());
        let hook =
            Hook { signal, hook, rung, misses: None, not_applicable: None, pending: None, refused };
        Hooks { forced: None, hooks: vec![hook] }
    }

    #[test]
    fn a_guest_called_blind_must_be() {
        let pass = |name: &str, rung| {
            let blind = Variant::named(name).and_then(|variant| variant.blind.as_ref());
            blind.unwrap().verdict(&said(rung)).pass
        };
        assert!(pass("lockdown-confidentiality", None));
        assert!(!pass("lockdown-confidentiality", Some("tracepoint")));
        assert!(pass("no-btf", Some("kprobe")));
        assert!(!pass("no-btf", Some("fexit")));
    }
}
