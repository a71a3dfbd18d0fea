//! What is done before the runtime, and before any other thread: attaching.

use std::sync::Arc;

use super::{Capture, RunError};
use crate::{
    config::{Config, Listen},
    enrich::{Enricher, cgroup::PidsHierarchy},
    kernel::{
        capability::{self, Capability},
        cgroupns,
    },
    kubernetes,
    metrics::Metrics,
    pipeline::Pipeline,
    probe::{
        coverage::Coverage,
        ground::Ground,
        modules::Modules,
        object::{Options, Probe},
    },
    supervise::Supervisor,
    symbols::Symbols,
};

/// Attached hooks, and what their events go through.
pub struct Prepared {
    pub probe: Probe,
    pub modules: Modules,
    pub pipeline: Pipeline,
    /// What the agent was not given.
    pub missing: Vec<Capability>,
}

impl Prepared {
    /// Attaches the hooks.
    pub fn new(
        config: &Config,
        ground: &Ground,
        kernel_log: bool,
        capture: Option<Capture>,
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<Self, RunError> {
        // Before any other thread, as the namespace is the thread's.
        if let Err(error) = cgroupns::enter_nodes() {
            log::warn!(
                "cannot enter the node's cgroup namespace: {error}; what polls find has no cgroup and no pod"
            );
        }
        let pids_on_cgroup_v1 = PidsHierarchy::find().is_some_and(|hierarchy| hierarchy.is_v1());
        let rtnl_least_wait_ns = config.rtnl.least_wait_ns();
        let choices = ground.choices.clone();
        let options = Options { choices, kernel_log, pids_on_cgroup_v1, rtnl_least_wait_ns };
        // Before any other thread: attaching may enter a mount namespace for tracefs.
        let mut probe = Probe::load(&ground.facts, &ground.offsets, options)?;
        as_asked(&probe.coverage, ground)?;
        // It writes where whoever asked for it may; its thread has no use for capabilities.
        let recorder = capture.map(|capture| capture.start(&probe.coverage, metrics, supervisor));
        let recorder = recorder.transpose()?;
        if let Err(error) = capability::give_up(low_port(config)) {
            log::warn!("capabilities that are of no more use stay: {error}");
        }
        // Only now: paths of what was opened in another mount namespace would not be ours.
        let symbols = Symbols::start(probe.stacks()?, metrics.symbolized.clone(), supervisor);
        let symbols = symbols.map_err(|source| RunError::Start { part: "symbols", source })?;
        let pods = kubernetes::start(&config.kubernetes, metrics, supervisor)?;
        let enricher = Enricher::new(PidsHierarchy::find(), &config.enrich);
        let enricher = enricher.with_symbols(symbols).with_pods(pods);
        let pipeline = Pipeline::new(config, enricher, Arc::clone(metrics)).with_recorder(recorder);
        let modules = Modules::new(ground, &probe.coverage);
        let missing = ground.facts.missing_capabilities.clone();
        Ok(Self { probe, modules, pipeline, missing })
    }
}

/// Whether the metrics are on a port that asks for a capability of its own.
fn low_port(config: &Config) -> bool {
    matches!(config.metrics.listen, Listen::At(address) if (1..1024).contains(&address.port()))
}

/// What was asked for and cannot be is an error. What the ladder chose by itself degrades, down to what
/// is polled, and the ready lines say so.
fn as_asked(coverage: &[Coverage], ground: &Ground) -> Result<(), RunError> {
    if let Some(covered) = coverage.iter().find(|covered| covered.is_refused_as_asked()) {
        let (hook, why, todo) = (covered.name(), covered.why(), covered.todo().join("; "));
        return Err(RunError::Asked { hook, why, todo });
    }
    let none = coverage.iter().all(|covered| covered.rung.is_none());
    if none && ground.choices.of_all().is_some() {
        let why = coverage.first().map_or_else(String::new, Coverage::why);
        return Err(RunError::Blind(why));
    }
    Ok(())
}
