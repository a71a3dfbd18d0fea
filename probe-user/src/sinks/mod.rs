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

use crate::{findings::Finding, metrics::Metrics};

pub mod human;
pub mod json;
pub mod stdout;

/// Findings that may wait for one sink; more are counted and dropped.
const QUEUE: usize = 1_024;

/// How often an ending sink is looked at.
const POLL: Duration = Duration::from_millis(5);

/// The near end of a sink.
pub struct Outlet {
    name: &'static str,
    queue: SyncSender<Arc<Finding>>,
    metrics: Arc<Metrics>,
    patient: bool,
}

impl Outlet {
    /// Queues a finding; without ever waiting, unless it was made patient.
    pub fn send(&self, finding: &Arc<Finding>) {
        let finding = Arc::clone(finding);
        let sent = match self.patient {
            true => self.queue.send(finding).map_err(|full| TrySendError::Disconnected(full.0)),
            false => self.queue.try_send(finding),
        };
        let outcome = match sent {
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
    handle: thread::JoinHandle<io::Result<()>>,
    name: &'static str,
}

/// Starts a sink on a thread of its own: stdout and files can block for as long as they like.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(
    name: &'static str,
    metrics: Arc<Metrics>,
    work: impl FnOnce(Receiver<Arc<Finding>>) -> io::Result<()> + Send + 'static,
) -> io::Result<Running> {
    let (queue, findings) = sync_channel(QUEUE);
    let handle = thread::Builder::new()
        .name(format!("sink-{name}"))
        .stack_size(128 * 1024)
        .spawn(move || work(findings))?;
    Ok(Running { outlet: Outlet { name, queue, metrics, patient: false }, handle, name })
}

impl Running {
    /// One that waits for room: for a source that can wait too.
    #[must_use]
    pub fn patient(self) -> Self {
        Self { outlet: Outlet { patient: true, ..self.outlet }, ..self }
    }

    /// Whether the sink ended, which it must not before it is asked to.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Closes the queue, waits for what is in it but at most `patience`, and tells how the sink ended.
    ///
    /// # Errors
    /// The sink's own error, that it panicked, or that it is stuck.
    pub fn finish(self, patience: Duration) -> io::Result<()> {
        drop(self.outlet);
        let deadline = Instant::now() + patience;
        while !self.handle.is_finished() {
            if Instant::now() >= deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("it takes nothing more; findings were lost after {patience:?}"),
                ));
            }
            thread::sleep(POLL);
        }
        let panicked = || io::Error::other(format!("sink {} panicked", self.name));
        self.handle.join().map_err(|_| panicked())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::findings::testing::finding;

    fn count(metrics: &Metrics, outcome: &str) -> u64 {
        metrics.sink_findings.with_label_values(&["test", outcome]).get()
    }

    #[test]
    fn a_sink_gets_all_that_was_queued_before_the_end() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (seen, all) = channel();
        let sink = start("test", Arc::clone(&metrics), move |findings| {
            findings.iter().for_each(|finding| seen.send(finding.id.clone()).unwrap());
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
        let sink = start("test", Arc::clone(&metrics), move |_findings| {
            let _ = stuck.recv();
            Ok(())
        });
        let sink = sink.unwrap();
        let finding = Arc::new(finding());
        (0..QUEUE + 7).for_each(|_| sink.outlet.send(&finding));
        assert_eq!((count(&metrics, "queued"), count(&metrics, "dropped")), (QUEUE as u64, 7));
        let error = sink.finish(Duration::ZERO).expect_err("it is stuck");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(release);
    }

    #[test]
    fn the_error_of_a_sink_is_told() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let sink = start("test", metrics, |_| Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        let error = sink.finish(Duration::from_secs(60)).expect_err("it failed");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
