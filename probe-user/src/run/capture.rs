//! Where a run is to be written down.

use std::{path::PathBuf, sync::Arc};

use crate::{
    metrics::Metrics,
    probe::coverage::Coverage,
    source::capture::{HookRung, Preamble, Recorder, WriteError},
    supervise::Supervisor,
};

/// A capture that is asked for.
#[derive(Debug)]
pub struct Capture {
    /// A file that does not exist yet.
    pub file: PathBuf,
    /// Most that it may take (bytes).
    pub limit: u64,
}

impl Capture {
    /// Begins it.
    ///
    /// # Errors
    /// [`WriteError`] when the file cannot be made.
    pub fn start(
        &self,
        coverage: &[Coverage],
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<Recorder, WriteError> {
        let hooks = coverage.iter().map(|covered| HookRung {
            signal: covered.signal.name.into(),
            hook: covered.hook.name.into(),
            rung: covered.rung_name().into(),
        });
        let preamble = Preamble::of_this_node(hooks.collect());
        Recorder::start(&self.file, self.limit, &preamble, Arc::clone(metrics), supervisor)
    }
}
