//! Sinks: where findings go. Each has its own queue and its own thread or task, so one that stalls
//! stalls nobody else, and detection least of all.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{
    findings::Finding,
    metrics::Metrics,
    supervise::{Part, Supervisor, Thread, guard::Failure, heartbeat::Heartbeat},
};

pub mod human;
pub mod json;
pub mod persist;
pub mod stdout;

/// Findings that may wait for one sink; more are counted and dropped.
const QUEUE: usize = 1_024;

/// How often an ending sink is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What becomes of a finding at a sink, as metric labels: `queued` is `written` and what waits.
pub const OUTCOMES: [&str; 4] = ["queued", "dropped", "closed", "written"];

/// Numbers that both ends of a queue know.
#[derive(Default)]
struct Tally {
    waiting: AtomicU64,
    lost: AtomicU64,
    /// Of the lost, those that were said to be.
    told: AtomicU64,
}

/// Why a sink did not end well.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SinkError {
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("it takes nothing more; findings were lost after {0:?}")]
    Stuck(Duration),
}

/// The near end of a sink.
pub struct Outlet {
    name: &'static str,
    queue: SyncSender<Arc<Finding>>,
    tally: Arc<Tally>,
    metrics: Arc<Metrics>,
    patient: bool,
}

impl Outlet {
    /// Queues a finding; without ever waiting, unless it was made patient.
    pub fn send(&self, finding: &Arc<Finding>) {
        self.tally.waiting.fetch_add(1, Relaxed);
        let finding = Arc::clone(finding);
        let sent = match self.patient {
            true => self.queue.send(finding).map_err(|full| TrySendError::Disconnected(full.0)),
            false => self.queue.try_send(finding),
        };
        let outcome = match sent {
            Ok(()) => return self.count("queued"),
            Err(TrySendError::Full(_)) => {
                self.lose();
                "dropped"
            }
            Err(TrySendError::Disconnected(_)) => "closed",
        };
        self.tally.waiting.fetch_sub(1, Relaxed);
        self.count(outcome);
    }

    fn lose(&self) {
        // Said once, until the sink has said how many there were.
        if self.tally.lost.fetch_add(1, Relaxed) == self.tally.told.load(Relaxed) {
            log::warn!("{}: takes nothing: {QUEUE} findings wait, more are lost", self.name);
        }
    }

    fn count(&self, outcome: &str) {
        self.metrics.sink_findings.with_label_values(&[self.name, outcome]).inc();
    }
}

/// The far end of a queue, for the thread that writes.
pub struct Inlet {
    name: &'static str,
    queue: Receiver<Arc<Finding>>,
    tally: Arc<Tally>,
    metrics: Arc<Metrics>,
    beat: Heartbeat,
}

impl Inlet {
    /// Waits for the next finding; `None` when there will be none any more.
    pub fn next(&self) -> Option<Arc<Finding>> {
        self.beat.rest();
        let finding = self.queue.recv().ok()?;
        self.beat.turn();
        Some(finding)
    }

    /// Name of the sink.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counts the finding in hand as written.
    pub fn written(&self) {
        self.tally.waiting.fetch_sub(1, Relaxed);
        self.metrics.sink_findings.with_label_values(&[self.name, "written"]).inc();
    }

    /// Counts a write that failed and is to be tried again.
    pub fn failed(&self, reason: persist::Reason) {
        self.metrics.sink_failures.with_label_values(&[self.name, reason.label()]).inc();
    }

    /// Findings not written yet, the one in hand among them.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.tally.waiting.load(Relaxed)
    }

    /// Findings that were lost for want of room since it was last asked.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let lost = self.tally.lost.load(Relaxed);
        lost - self.tally.told.swap(lost, Relaxed)
    }
}

/// A sink at work.
pub struct Running {
    pub outlet: Outlet,
    thread: Thread,
}

/// Starts a sink on a thread of its own: stdout and files can block for as long as they like.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(
    name: &'static str,
    part: Part,
    metrics: Arc<Metrics>,
    supervisor: &mut Supervisor,
    work: impl FnOnce(Inlet) -> io::Result<()> + Send + 'static,
) -> io::Result<Running> {
    let (queue, findings) = sync_channel(QUEUE);
    let tally = Arc::<Tally>::default();
    let (of_outlet, counted) = (Arc::clone(&metrics), Arc::clone(&tally));
    let outlet = Outlet { name, queue, tally: counted, metrics: of_outlet, patient: false };
    let thread = supervisor.thread(part, 128 * 1024, move |beat| {
        work(Inlet { name, queue: findings, tally, metrics, beat: beat.clone() })
    })?;
    Ok(Running { outlet, thread })
}

impl Running {
    /// One that waits for room: for a source that can wait too.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { outlet: Outlet { patient: true, ..self.outlet }, ..self }
    }

    /// Closes the queue, waits for what is in it but at most `patience`, and tells how the sink ended.
    ///
    /// # Errors
    /// The sink's own error, that it panicked, or that it is stuck.
    pub fn finish(self, patience: Duration) -> Result<(), SinkError> {
        drop(self.outlet);
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return Err(SinkError::Stuck(patience));
            }
            thread::sleep(POLL);
        }
        Ok(self.thread.join()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::{findings::testing::finding, supervise::End};

    const PART: Part = Part { name: "sink-test", end: End::Never, help: "", turns: None };

    fn count(metrics: &Metrics, outcome: &str) -> u64 {
        metrics.sink_findings.with_label_values(&["test", outcome]).get()
    }

    #[test]
    fn a_sink_gets_all_that_was_queued_before_the_end() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (seen, all) = channel();
        let mut supervisor = Supervisor::new(Arc::clone(&metrics));
        let sink = start("test", PART, Arc::clone(&metrics), &mut supervisor, move |inlet| {
            while let Some(finding) = inlet.next() {
                seen.send(finding.id.clone()).unwrap();
            }
            Ok(())
        });
        let sink = sink.unwrap();
        (0..100).for_each(|_| sink.outlet.send(&Arc::new(finding())));
        sink.finish(Duration::from_secs(60)).unwrap();
        assert_eq!(all.iter().count(), 100);
        assert_eq!(count(&metrics, "queued"), 100);
    }

    #[test]
    fn a_stuck_sink_costs_counted_findings_and_no_time() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (release, stuck) = channel::<()>();
        let mut supervisor = Supervisor::new(Arc::clone(&metrics));
        let sink = start("test", PART, Arc::clone(&metrics), &mut supervisor, move |_inlet| {
            let _ = stuck.recv();
            Ok(())
        });
        let sink = sink.unwrap();
        let finding = Arc::new(finding());
        (0..QUEUE + 7).for_each(|_| sink.outlet.send(&finding));
        assert_eq!((count(&metrics, "queued"), count(&metrics, "dropped")), (QUEUE as u64, 7));
        let error = sink.finish(Duration::ZERO).expect_err("it is stuck");
        assert_eq!(error, SinkError::Stuck(Duration::ZERO));
        drop(release);
    }

    #[test]
    fn the_error_of_a_sink_is_told() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut supervisor = Supervisor::new(Arc::clone(&metrics));
        let broken = |_| Err(io::ErrorKind::BrokenPipe.into());
        let sink = start("test", PART, metrics, &mut supervisor, broken).unwrap();
        let error = sink.finish(Duration::from_secs(60)).expect_err("it failed");
        assert_eq!(error.to_string(), "broken pipe");
    }
}
