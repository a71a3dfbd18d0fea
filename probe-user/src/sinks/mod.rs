//! Sinks: where findings go. Each has its own queue and its own thread or task, so one that stalls
//! stalls nobody else, and detection least of all.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use crate::{findings::Finding, metrics::Metrics};

pub mod human;
pub mod json;
pub mod stdout;

/// Findings that may wait for one sink; more are counted and dropped.
const QUEUE: usize = 1_024;

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
    Ok(Running { outlet: Outlet { name, queue, metrics }, handle, name })
}

impl Running {
    /// Whether the sink ended, which it must not before it is asked to.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Closes the queue, waits for what is in it, and tells how the sink ended.
    ///
    /// # Errors
    /// The sink's own error, or that it panicked.
    pub fn finish(self) -> io::Result<()> {
        drop(self.outlet);
        let panicked = || io::Error::other(format!("sink {} panicked", self.name));
        self.handle.join().map_err(|_| panicked())?
    }
}
