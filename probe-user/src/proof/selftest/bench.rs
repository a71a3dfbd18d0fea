//! Plays each trial and follows it: the kernel's counters, the records of the acting thread, the
//! pipeline, and a sink that only notes what arrives.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use probe_common::{counter, wire};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, channel},
    time::{Instant, sleep_until},
};

use super::{
    SelftestError, io_error,
    outcome::{Outcome, Trace},
    stage::Actor,
    trial::{TRIALS, Trial},
};
use crate::{
    cli::say,
    config::span::Span,
    decode::{decode, read},
    event::{BootNs, Comm},
    findings::clock::boot_now,
    metrics::Metrics,
    pipeline::Pipeline,
    probe::{counters::Counters, coverage::Coverage, object::Probe},
    proof::own::OwnThread,
    sinks::{Answer, Sinks, call},
    source::{Source, ring::LiveRing},
    supervise::{End, Part, Supervisor},
};

/// Name of the sink.
const SINK: &str = "selftest";
/// Its thread.
const PART: Part = Part { name: "sink-selftest", end: End::WhenDone, help: "", turns: None };
/// Findings that may wait to be noted.
const ARRIVALS: usize = 64;
/// Longest time for an act itself: the kernel may have to load a module for it.
const LONGEST_ACT: Duration = Duration::from_secs(30);
/// How long the sink may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A rule's name, and when its finding was at the sink.
type Arrival = (String, BootNs);

/// Everything there is to play on.
pub struct Bench {
    // Holds the programs; detached when it is dropped.
    _ebpf: aya::Ebpf,
    source: LiveRing,
    counters: Counters,
    coverage: VecDeque<Coverage>,
    metrics: Arc<Metrics>,
    pipeline: Pipeline,
    sinks: Sinks,
    arrivals: Receiver<Arrival>,
    thread: OwnThread,
    actor: Actor,
    within: Span,
    interrupts: [Signal; 2],
}

impl Bench {
    /// Sets everything up; must be called in a runtime.
    pub fn set_up(
        probe: Probe,
        pipeline: Pipeline,
        metrics: Arc<Metrics>,
        within: Span,
    ) -> Result<Self, SelftestError> {
        let Probe { ebpf, ring, counters, coverage, .. } = probe;
        let source = LiveRing::new(ring).map_err(io_error("the ring buffer"))?;
        let (note, arrivals) = channel(ARRIVALS);
        // It plays for seconds and ends: the sink's own end is what tells of one that failed.
        let mut supervisor = Supervisor::new(Arc::clone(&metrics));
        let noting = call::plan(SINK, PART, move |record| {
            // What has no room was not waited for.
            let _ = note.try_send((record.meta.rule.clone(), boot_now()));
            Answer::taken()
        });
        let mut sinks = Sinks::default();
        sinks.start(noting, &metrics, &mut supervisor)?;
        let of = |kind| signal(kind).map_err(io_error("signals"));
        // Before anything is made that must be cleaned up.
        let interrupts = [of(SignalKind::interrupt())?, of(SignalKind::terminate())?];
        let name = OwnThread::unique_name("selftest");
        Ok(Self {
            _ebpf: ebpf,
            source,
            counters,
            coverage: coverage.into(),
            metrics,
            pipeline,
            sinks,
            arrivals,
            thread: OwnThread::named(&name),
            actor: Actor::start(&name).map_err(io_error("the acting thread"))?,
            within,
            interrupts,
        })
    }

    /// Plays all trials, and cleans up.
    pub async fn try_all(mut self) -> Result<(Vec<Outcome>, Vec<Coverage>), SelftestError> {
        let mut outcomes = Vec::new();
        let mut interrupted = false;
        for (index, trial) in TRIALS.iter().enumerate() {
            match self.play(index, trial).await {
                Some(trace) => outcomes.push(self.judge(trial, trace)),
                None => {
                    interrupted = true;
                    break;
                }
            }
        }
        if !self.actor.leave() {
            say("nodeprobe: the acting thread does not end; what it made goes with this process");
        }
        self.sinks.finish(LAST_WORDS).into_iter().try_for_each(|ended| ended.how)?;
        match interrupted {
            true => Err(SelftestError::Interrupted),
            false => Ok((outcomes, self.coverage.into())),
        }
    }

    /// Plays one and follows it until it has arrived or its time is up; `None` when interrupted.
    async fn play(&mut self, index: usize, trial: &'static Trial) -> Option<Trace> {
        let mut trace = Trace::default();
        if self.hook(trial).is_none_or(|hook| hook.rung.is_none()) {
            return Some(trace);
        }
        let before = self.count(trial);
        let raised_before = self.metrics.fired_total(trial.rule);
        self.actor.order(index);
        let mut deadline = Instant::now() + LONGEST_ACT;
        let [interrupt, terminate] = &mut self.interrupts;
        while !trace.is_over() {
            tokio::select! {
                ready = self.source.ready() => {
                    if let Err(error) = ready {
                        trace.broken_ring = Some(error);
                        break;
                    }
                    take(&mut self.source, &mut self.thread, &mut self.pipeline, &self.sinks, trial, &mut trace);
                }
                acted = self.actor.acted.recv() => {
                    deadline = Instant::now() + self.within.duration();
                    trace.acted = acted;
                    if trace.acted.is_none() {
                        break;
                    }
                }
                Some((rule, at)) = self.arrivals.recv() => {
                    if rule == trial.rule {
                        trace.arrived = Some(at);
                    }
                }
                () = sleep_until(deadline) => break,
                _ = interrupt.recv() => return None,
                _ = terminate.recv() => return None,
            }
        }
        // What is still there came late, and is told apart from what never came.
        take(
            &mut self.source,
            &mut self.thread,
            &mut self.pipeline,
            &self.sinks,
            trial,
            &mut trace,
        );
        trace.raised = self.metrics.fired_total(trial.rule) > raised_before;
        trace.counted = self.count(trial).since(&before);
        Some(trace)
    }

    fn judge(&self, trial: &'static Trial, trace: Trace) -> Outcome {
        Outcome::of(trial, self.hook(trial), trace, self.within)
    }

    /// The hook that a trial is about: the first of its signal is the one it lives by.
    fn hook(&self, trial: &Trial) -> Option<&Coverage> {
        self.coverage.iter().find(|covered| covered.signal.wire == trial.signal.wire)
    }

    fn count(&self, trial: &Trial) -> Counted {
        let read = |which| self.counters.read(trial.signal.wire, which);
        Counted {
            seen: read(counter::SEEN),
            lost: counter::LOSSES.map(|(which, reason)| (reason, read(which))),
        }
    }
}

/// What the kernel side counted of a signal, whoever caused it.
#[derive(Debug, Default)]
pub struct Counted {
    pub seen: u64,
    pub lost: [(&'static str, u64); counter::LOSSES.len()],
}

impl Counted {
    fn since(mut self, before: &Self) -> Self {
        self.seen = self.seen.saturating_sub(before.seen);
        for ((_, lost), (_, before)) in self.lost.iter_mut().zip(before.lost) {
            *lost = lost.saturating_sub(before);
        }
        self
    }
}

/// Takes the records there are. Only what the acting thread did goes on: it is about that alone.
fn take(
    source: &mut LiveRing,
    thread: &mut OwnThread,
    pipeline: &mut Pipeline,
    sinks: &Sinks,
    trial: &Trial,
    trace: &mut Trace,
) {
    source.drain(|record| {
        let Ok(header) = read::<wire::Header>(0, record) else { return };
        if !thread.did(header.tgid, header.pid, Comm(header.comm)) {
            return;
        }
        if header.kind == trial.kind {
            trace.records += 1;
            match decode(record) {
                Ok(_) => trace.decoded += 1,
                Err(error) => trace.undecoded = Some(error),
            }
        }
        pipeline.record(record, &sinks.outlets);
    });
}
