//! `nodeprobe replay`: the pipeline over a capture, as fast as it goes.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;

use crate::{
    cli::say,
    config::Config,
    event::BootNs,
    metrics::Metrics,
    pipeline::Pipeline,
    sinks::{Outlets, SinkError, Sinks, StartError},
    source::capture::{CaptureError, End, Entry, Preamble, Recording},
    supervise::Supervisor,
};

/// How long sinks may take for what is still queued at the end.
const LAST_WORDS: Duration = Duration::from_secs(60);
const SECOND: BootNs = 1_000_000_000;

/// Why a replay ended early.
#[derive(Debug, Error)]
pub enum ReplayError {
    #[error("{file} {source}")]
    Capture { file: PathBuf, source: CaptureError },
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("sink {sink}: {source}")]
    Sink { sink: &'static str, source: SinkError },
}

/// Prints what the capture `file` makes the detectors find.
///
/// # Errors
/// [`ReplayError`], after all was printed that was found until then.
pub fn run(file: &Path, config: &Config) -> Result<(), ReplayError> {
    let failed = |source| ReplayError::Capture { file: file.into(), source };
    let mut capture = File::open(file).map_err(|error| failed(error.into()))?;
    let metrics = Arc::new(Metrics::new()?);
    // Nobody watches over it: its own end tells of what went wrong.
    let mut supervisor = Supervisor::new(Arc::clone(&metrics));
    let sinks = Sinks::of(config, true, &metrics, &mut supervisor)?;
    let mut tally = Tally::default();
    let played = play(&mut capture, config, &metrics, &sinks.outlets, &mut tally);
    for ended in sinks.finish(LAST_WORDS) {
        ended.how.map_err(|source| ReplayError::Sink { sink: ended.sink, source })?;
    }
    tally.lines().iter().for_each(|line| say(line));
    played.map_err(failed)
}

/// Plays a capture, twice read: a path that was learned when a finding fired is known from the start.
///
/// # Errors
/// [`CaptureError`] when it is no capture, or where it is damaged; all before that was played.
pub fn play(
    capture: &mut (impl Read + Seek),
    config: &Config,
    metrics: &Arc<Metrics>,
    outlets: &Outlets,
    tally: &mut Tally,
) -> Result<(), CaptureError> {
    let mut recording = Recording::open(BufReader::new(&mut *capture))?;
    tally.preamble = recording.preamble().clone();
    let mut pipeline = Pipeline::replaying(config, tally.preamble.began, Arc::clone(metrics));
    // Where it is damaged the second reading says.
    while let Ok(Some(entry)) = recording.next_entry() {
        if let Entry::Cgroup { id, path } = entry {
            pipeline.replay_cgroup(id, path.into_owned());
        }
    }
    drop(recording);
    capture.rewind()?;
    let mut recording = Recording::open(BufReader::new(capture))?;
    while let Some(entry) = recording.next_entry()? {
        tally.count(&entry);
        match entry {
            Entry::Record(bytes) => pipeline.record(bytes, outlets),
            Entry::Seed(bytes) => pipeline.seed(bytes, outlets),
            Entry::Fact(event) => pipeline.fact(&event, outlets),
            Entry::Tick(moment) => pipeline.replay_tick(moment, outlets),
            Entry::Preamble(_) | Entry::Cgroup { .. } | Entry::Lost(_) | Entry::End(_) => {}
        }
    }
    pipeline.finish(outlets);
    tally.ended = Some(match (tally.end, recording.is_cut_short()) {
        (Some(end), _) => Ended::Said(end),
        (None, true) => Ended::InAnEntry,
        (None, false) => Ended::Silently,
    });
    Ok(())
}

/// What a capture held.
#[derive(Debug, Default)]
pub struct Tally {
    preamble: Preamble,
    records: u64,
    seeds: u64,
    facts: u64,
    lost: u64,
    last: BootNs,
    end: Option<End>,
    /// `None` when it was not read to its end.
    ended: Option<Ended>,
}

/// How a capture ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Said(End),
    InAnEntry,
    Silently,
}

impl Tally {
    fn count(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Record(_) => self.records += 1,
            Entry::Seed(_) => self.seeds += 1,
            Entry::Fact(_) => self.facts += 1,
            Entry::Tick(moment) => self.last = moment.at,
            Entry::Lost(entries) => self.lost = self.lost.saturating_add(*entries),
            Entry::End(end) => self.end = Some(*end),
            Entry::Preamble(_) | Entry::Cgroup { .. } => {}
        }
    }

    /// What a reader of the findings must know: of what they are, and what they cannot know.
    fn lines(&self) -> Vec<String> {
        let Self { preamble, records, seeds, facts, .. } = self;
        if preamble.nodeprobe.is_empty() {
            return Vec::new();
        }
        let seconds = self.last.saturating_sub(preamble.began.boot) / SECOND;
        let mut lines = vec![format!(
            "replayed {records} records, {seeds} seeds and {facts} facts of {seconds} s; kernel {}, nodeprobe {}",
            preamble.kernel, preamble.nodeprobe
        )];
        for hook in preamble.blind() {
            lines.push(format!("the agent saw nothing at {}/{}", hook.signal, hook.hook));
        }
        if self.lost > 0 {
            lines.push(format!("{} entries were lost on their way to the file", self.lost));
        }
        lines.extend(self.ended.and_then(Ended::note).map(str::to_owned));
        lines
    }
}

impl Ended {
    fn note(self) -> Option<&'static str> {
        match self {
            Self::Said(End::Agent) => None,
            Self::Said(End::Limit) => Some("the file reached its limit; the agent went on"),
            Self::InAnEntry => Some(
                "the file ends in the middle of an entry: its agent was killed, or still writes",
            ),
            Self::Silently => Some("the file has no end: its agent was killed, or still writes"),
        }
    }
}

#[cfg(test)]
mod tests;
