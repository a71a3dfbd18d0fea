//! The end: hooks are detached, and what was found until then is handed over.

use std::time::Duration;

use super::{RunError, notify::Notify, start::Agent};
use crate::{cli::say, probe::classify::chain, source::Source, supervise::guard};

/// How long a sink may take for what is still queued at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Agent {
    /// Ends all, within bounded time, and returns why: `watched`, or what went wrong at last.
    pub fn end(self, watched: Result<(), RunError>) -> Result<(), RunError> {
        let Self { ebpf, mut source, mut untold, mut pipeline, sinks, mut notifier, .. } = self;
        if let Some(notifier) = &mut notifier {
            notifier.send(&Notify::Stopping);
        }
        // Detach first, then hand over what came until then.
        drop(ebpf);
        let drained = match &watched {
            // Half done: what the pipeline would say now is not to be trusted.
            Err(RunError::Bug(_)) => Ok(()),
            _ => guard::call(|| {
                let outlets = &sinks.outlets;
                source.drain(|record| pipeline.record(record, outlets));
                untold.take_all(|record| pipeline.summed(record, outlets));
                pipeline.finish(outlets);
                Ok(())
            }),
        };
        let told = match &watched {
            Err(RunError::Ended(unexpected)) => Some(unexpected.part),
            _ => None,
        };
        let said = sinks.finish(LAST_WORDS).into_iter().filter(|end| told != Some(end.part));
        let said = said
            .map(|end| end.how.map_err(|source| RunError::LastWords { sink: end.sink, source }));
        first_error([watched, drained.map_err(RunError::Bug)].into_iter().chain(said))
    }
}

/// The first is what the agent ends with; others are said, where they are other words.
fn first_error(all: impl Iterator<Item = Result<(), RunError>>) -> Result<(), RunError> {
    let mut errors = all.filter_map(Result::err);
    let Some(first) = errors.next() else { return Ok(()) };
    for error in errors {
        say(&format!("nodeprobe: {}", chain(&error)));
    }
    Err(first)
}
