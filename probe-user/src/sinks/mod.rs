//! Sinks: where findings go. Each has its own queue and its own thread or task, so one that stalls
//! stalls nobody else, and detection least of all.

use std::{
    io,
    sync::{
        Arc,
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
pub mod stdout;

/// Findings that may wait for one sink; more are counted and dropped.
const QUEUE: usize = 1_024;

/// How often an ending sink is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What a sink has to write. It waits for findings, and ends with the queue.
pub struct Queue {
    findings: Receiver<Arc<Finding>>,
    beat: Heartbeat,
}

impl Iterator for Queue {
    type Item = Arc<Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        self.beat.rest();
        let finding = self.findings.recv().ok()?;
        self.beat.turn();
        Some(finding)
    }
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
    metrics: Arc<Metrics>,
}

impl Outlet {
    /// Queues a finding without ever waiting.
    pub fn send(&self, finding: &Arc<Finding>) {
        let outcome = match self.queue.try_send(Arc::clone(finding)) {
            Ok(()) => "queued",
            Err(TrySendError::Full(_)) => "dropped",
            Err(TrySendError::Disconnected(_)) => "closed",
        };
        self.metrics.sink_findings.with_label_values(&[self.name, outcome]).inc();
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
    work: impl FnOnce(Queue) -> io::Result<()> + Send + 'static,
) -> io::Result<Running> {
    let (queue, findings) = sync_channel(QUEUE);
    let thread = supervisor
        .thread(part, 128 * 1024, move |beat| work(Queue { findings, beat: beat.clone() }))?;
    Ok(Running { outlet: Outlet { name, queue, metrics }, thread })
}

impl Running {
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
        let sink = start("test", PART, Arc::clone(&metrics), &mut supervisor, move |findings| {
            findings.for_each(|finding| seen.send(finding.id.clone()).unwrap());
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
        let sink = start("test", PART, Arc::clone(&metrics), &mut supervisor, move |_findings| {
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
