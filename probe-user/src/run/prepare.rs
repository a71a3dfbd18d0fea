//! What is done before the runtime, and before any other thread: attaching.

use std::sync::Arc;

use super::RunError;
use crate::{
    config::Config,
    enrich::{Enricher, cgroup::PidsHierarchy},
    kernel::{facts::Facts, fields::Offsets},
    metrics::Metrics,
    pipeline::Pipeline,
    probe::{
        hook::Rung,
        ladder::Coverage,
        object::{Options, Probe},
    },
    supervise::Supervisor,
    symbols::Symbols,
};

/// Attached hooks, and what their events go through.
pub struct Prepared {
    pub probe: Probe,
    pub pipeline: Pipeline,
}

impl Prepared {
    /// Attaches the hooks.
    pub fn new(
        config: &Config,
        rung: Option<Rung>,
        kernel_log: bool,
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<Self, RunError> {
        let pids_on_cgroup_v1 = PidsHierarchy::find().is_some_and(|hierarchy| hierarchy.is_v1());
        let rtnl_least_wait_ns = config.rtnl.least_wait_ns();
        let options = Options { rung, kernel_log, pids_on_cgroup_v1, rtnl_least_wait_ns };
        let facts = Facts::read();
        let offsets = offsets(&facts);
        // Before any other thread: attaching may enter a mount namespace for tracefs.
        let mut probe = Probe::load(&facts, &offsets, options)?;
        if probe.coverage.iter().all(|covered| covered.rung.is_none()) {
            let why = probe.coverage.first().map_or_else(String::new, Coverage::why);
            return Err(RunError::Blind(why));
        }
        // Only now: paths of what was opened in another mount namespace would not be ours.
        let symbols = Symbols::start(probe.stacks()?, metrics.symbolized.clone(), supervisor);
        let symbols = symbols.map_err(|source| RunError::Start { part: "symbols", source })?;
        let enricher = Enricher::new(PidsHierarchy::find(), &config.enrich).with_symbols(symbols);
        Ok(Self { probe, pipeline: Pipeline::new(config, enricher, Arc::clone(metrics)) })
    }
}

fn offsets(facts: &Facts) -> Offsets {
    if !facts.btf {
        return Offsets::unknown();
    }
    let offsets = Offsets::of_running_kernel().unwrap_or_else(|error| {
        log::warn!("{error}; interfaces, namespaces and parents stay unnamed");
        Offsets::unknown()
    });
    for field in &offsets.missing {
        log::debug!("this kernel has no {}.{}", field.container, field.member);
    }
    offsets
}
