//! An interface to attach to, in a network namespace of its own, and agents that do.

use anyhow::Result;

use super::actor::Actor;
use super::netns::Netns;
use super::unique;
use crate::expect::Expectation;
use crate::scenario::Stage;

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
        netns.add_link(&name, "veth peer name eth0")?;
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
