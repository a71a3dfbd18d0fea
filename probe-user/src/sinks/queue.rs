//! The queue before each sink: bounded, and never waited for by those who find something.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{
    Notify,
    mpsc::{Receiver, Sender, channel, error::TrySendError},
};

use super::{backend::Reason, filter::Filter, record::Record};
use crate::{metrics::Metrics, supervise::heartbeat::Heartbeat};

/// Records that may wait for one sink; more are counted and dropped.
pub const QUEUE: usize = 1_024;

/// What becomes of a record at a sink, as metric labels: `queued` is `written`, `refused`, `expired`,
/// `left_out` and what waits.
pub const OUTCOMES: [&str; 8] =
    ["queued", "dropped", "events_dropped", "closed", "written", "refused", "expired", "left_out"];

/// Of the queue, what is kept for findings: events do without when there is no more.
const FOR_FINDINGS: usize = QUEUE / 2;

/// Numbers that both ends of a queue know.
#[derive(Default)]
struct Tally {
    waiting: AtomicU64,
    lost: AtomicU64,
    /// Of the lost, those that were said to be.
    told: AtomicU64,
}

/// Asks a sink to open its files again, past what is in its queue.
#[derive(Default)]
struct Reopen {
    asked: AtomicBool,
    wake: Notify,
}

/// The near end of a sink.
pub struct Outlet {
    name: &'static str,
    queue: Sender<Arc<Record>>,
    reopen: Arc<Reopen>,
    tally: Arc<Tally>,
    metrics: Arc<Metrics>,
    pub filter: Filter,
    patient: bool,
}

/// Both ends of a queue.
#[must_use]
pub fn queue(
    name: &'static str,
    filter: Filter,
    patient: bool,
    metrics: &Arc<Metrics>,
) -> (Outlet, Inlet) {
    let (to, from) = channel(QUEUE);
    let tally = Arc::<Tally>::default();
    metrics.register_sink(name);
    let beat = Heartbeat::default();
    let (of_inlet, metrics) = (Arc::clone(metrics), Arc::clone(metrics));
    let reopen = Arc::<Reopen>::default();
    let inlet = Inlet {
        name,
        queue: from,
        reopen: Arc::clone(&reopen),
        tally: Arc::clone(&tally),
        metrics: of_inlet,
        beat,
    };
    (Outlet { name, queue: to, reopen, tally, metrics, filter, patient }, inlet)
}

impl Outlet {
    /// Name of the sink.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks the sink to open its files again.
    pub fn reopen(&self) {
        self.reopen.asked.store(true, Relaxed);
        self.reopen.wake.notify_one();
    }

    /// Queues a record, if the sink is to get it.
    pub fn send(&self, record: &Arc<Record>) {
        if self.filter.lets_through(&record.meta) {
            self.put(record);
        }
    }

    /// Whether there is room for one more event. Where there is not, one is counted as dropped.
    #[must_use]
    pub fn admits_event(&self) -> bool {
        // A patient one waits for room.
        let admits = self.patient || self.queue.capacity() > FOR_FINDINGS;
        if !admits {
            self.count("events_dropped");
        }
        admits
    }

    /// Queues a record that the sink is to get, without ever waiting, unless it is patient.
    pub fn put(&self, record: &Arc<Record>) {
        self.tally.waiting.fetch_add(1, Relaxed);
        let record = Arc::clone(record);
        let sent = match self.patient {
            true => self.queue.blocking_send(record).map_err(|full| TrySendError::Closed(full.0)),
            false => self.queue.try_send(record),
        };
        let outcome = match sent {
            Ok(()) => return self.count("queued"),
            Err(TrySendError::Full(_)) => {
                self.lose();
                "dropped"
            }
            Err(TrySendError::Closed(_)) => "closed",
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
        self.metrics.sink_records.with_label_values(&[self.name, outcome]).inc();
    }
}

/// The far end of a queue, for the thread of the sink.
pub struct Inlet {
    name: &'static str,
    queue: Receiver<Arc<Record>>,
    reopen: Arc<Reopen>,
    tally: Arc<Tally>,
    metrics: Arc<Metrics>,
    /// Noted by the loop that empties the queue.
    pub beat: Heartbeat,
}

impl Inlet {
    /// The same, with the heartbeat of the thread that empties it.
    #[must_use]
    pub fn beating(self, beat: Heartbeat) -> Self {
        Self { beat, ..self }
    }

    /// Waits for the next record; `None` when there will be none any more.
    pub async fn next(&mut self) -> Option<Arc<Record>> {
        self.queue.recv().await
    }

    /// Waits for the next record, or until somebody asks for files to be opened again: then there is
    /// none, not even the news that there will be none any more.
    pub async fn next_or_reopen(&mut self) -> Option<Option<Arc<Record>>> {
        tokio::select! {
            next = self.queue.recv() => Some(next),
            () = self.reopen.wake.notified() => None,
        }
    }

    /// Whether files are to be opened again.
    #[must_use]
    pub fn is_to_reopen(&self) -> bool {
        self.reopen.asked.load(Relaxed)
    }

    /// Takes the question: [`Self::is_to_reopen`] until it is asked again.
    pub fn take_reopen(&self) -> bool {
        self.reopen.asked.swap(false, Relaxed)
    }

    /// The next record, if there is one already.
    pub fn next_now(&mut self) -> Option<Arc<Record>> {
        self.queue.try_recv().ok()
    }

    /// Name of the sink.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counts records that came back from a store of an earlier process.
    pub fn resumed(&self, records: usize) {
        self.tally.waiting.fetch_add(records as u64, Relaxed);
        self.count("queued", records);
    }

    /// Counts records that the backend has.
    pub fn written(&self, records: usize) {
        self.done("written", records);
    }

    /// Counts records that the backend refused for good.
    pub fn refused(&self, records: usize) {
        self.done("refused", records);
    }

    /// Counts records that were given up: for want of room, for their age, or with the end of the sink.
    pub fn expired(&self, records: usize) {
        self.done("expired", records);
    }

    /// Counts records that the backend leaves out by a bound of its own.
    pub fn left_out(&self, records: usize) {
        self.done("left_out", records);
    }

    fn done(&self, outcome: &str, records: usize) {
        self.tally.waiting.fetch_sub(records as u64, Relaxed);
        self.count(outcome, records);
    }

    fn count(&self, outcome: &str, records: usize) {
        let labels = [self.name, outcome];
        self.metrics.sink_records.with_label_values(&labels).inc_by(records as u64);
    }

    /// Notes how long the backend took to answer.
    pub fn took(&self, time: Duration) {
        let seconds = self.metrics.histograms.sink_seconds.with_label_values(&[self.name]);
        seconds.observe(time.as_secs_f64());
    }

    /// Counts a try that failed and is repeated.
    pub fn failed(&self, reason: Reason) {
        self.metrics.sink_failures.with_label_values(&[self.name, reason.label()]).inc();
    }

    /// Records not written yet, those in hand among them.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.tally.waiting.load(Relaxed)
    }

    /// Records that were lost for want of room since it was last asked.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let lost = self.tally.lost.load(Relaxed);
        lost - self.tally.told.swap(lost, Relaxed)
    }
}
