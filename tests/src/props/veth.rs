//! An interface to attach to, in a network namespace of its own, and agents that do.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use super::actor::Actor;
use super::netns::Netns;
use super::unique;
use crate::expect::Expectation;
use crate::scenario::Stage;

/// Index of the next interface. Each has one of its own: the number of a namespace that went is given to the
/// next, and kernels before 5.12 have nothing else to tell their interfaces apart by.
static NEXT_INDEX: AtomicU32 = AtomicU32::new(1_000);

/// A veth in a namespace of its own.
pub struct Veth {
    /// The namespace.
    pub netns: Netns,
    /// The interface.
    pub name: String,
}

impl Veth {
    /// Creates both.
    pub fn create() -> Result<Self> {
        let (netns, name) = (Netns::create()?, unique("cali"));
        let index = NEXT_INDEX.fetch_add(1, Ordering::Relaxed);
        netns.add_link(&format!("{name} index {index}"), "veth peer name eth0")?;
        Ok(Self { netns, name })
    }

    /// Starts an agent of this name with an act of `tc-agent`.
    pub fn agent(&self, stage: &Stage, comm: &str, act: &str, count: u64) -> Result<Actor> {
        self.actor(stage, comm, "tc-agent", &["--act", act, "--count", &count.to_string()])
    }

    /// Starts a workload on the interface.
    pub fn actor(&self, stage: &Stage, comm: &str, workload: &str, more: &[&str]) -> Result<Actor> {
        let mut args = vec![workload.into(), "--netns".into(), self.netns.path().into_os_string()];
        args.extend(["--dev", &self.name].into_iter().chain(more.iter().copied()).map(Into::into));
        if let Some(object) = &stage.classifier {
            args.extend(["--classifier".into(), object.clone().into_os_string()]);
        }
        Actor::start(comm, args)
    }

    /// A finding about the interface, by `tc` that the culprit started.
    #[must_use]
    pub fn about(&self, rule: &'static str, culprit: &str) -> Expectation {
        Expectation::firing(rule)
            .is("/subject/interface/name", self.name.clone())
            .is("/subject/process/comm", "tc")
            .is("/subject/process/parent/comm", culprit)
    }
}
