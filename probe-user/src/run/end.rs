//! The end: hooks are detached, and what was found until then is handed over.

use std::time::Duration;

use super::{RunError, notify::Notify, start::Agent};
use crate::{cli::say, probe::classify::chain, sinks::stdout, source::Source, supervise::guard};

/// How long a sink may take for what is still queued at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Agent {
    /// Ends all, within bounded time, and returns why: `watched`, or what went wrong at last.
    pub fn end(self, watched: Result<(), RunError>) -> Result<(), RunError> {
        let Self { ebpf, mut source, mut untold, mut pipeline, stdout, mut notifier, .. } = self;
        if let Some(notifier) = &mut notifier {
            notifier.send(&Notify::Stopping);
        }
        // Detach first, then hand over what came until then.
        drop(ebpf);
        let drained = match &watched {
            // Half done: what the pipeline would say now is not to be trusted.
            Err(RunError::Bug(_)) => Ok(()),
            _ => guard::call(|| {
                let outlets = [&stdout.outlet];
                source.drain(|record| pipeline.record(record, &outlets));
                untold.take_all(|record| pipeline.summed(record, &outlets));
                Ok(())
            }),
        };
        let said = stdout
            .finish(LAST_WORDS)
            .map_err(|source| RunError::LastWords { sink: stdout::NAME, source });
        let said = if is_told(&watched, stdout::PART.name) { Ok(()) } else { said };
        first_error([watched, drained.map_err(RunError::Bug), said])
    }
}

/// Whether the agent ends because this part did.
fn is_told(watched: &Result<(), RunError>, part: &str) -> bool {
    matches!(watched, Err(RunError::Ended(unexpected)) if unexpected.part == part)
}

/// The first is what the agent ends with; others are said, where they are other words.
fn first_error(all: [Result<(), RunError>; 3]) -> Result<(), RunError> {
    let mut errors = all.into_iter().filter_map(Result::err);
    let Some(first) = errors.next() else { return Ok(()) };
    for error in errors {
        say(&format!("nodeprobe: {}", chain(&error)));
    }
    Err(first)
}
