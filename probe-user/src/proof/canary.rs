//! The canary: an event of each signal that can be provoked without harm, made by a thread of the agent
//! now and then, and seen coming through hook, ring buffer and decoding. There it ends: it is counted
//! apart, and neither a detector nor a name's cache ever hears of it. What comes after is proven by
//! `nodeprobe selftest`.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use probe_common::wire::kind;

use super::own::OwnThread;
use crate::{
    cli::say,
    config::{canary::CanaryConfig, span::Span},
    event::Context,
    metrics::Metrics,
    probe::coverage::Coverage,
    signals::{Signal, fork, netlink, tc},
    supervise::{End, Part, Supervisor, Turns},
};

mod acts;
#[cfg(test)]
mod tests;

/// The acting thread. It waits for the RTNL mutex like anybody else.
const PART: Part = Part {
    name: "canary",
    end: End::Any,
    help: "nothing proves any more that events come through: start nodeprobe again",
    turns: Some(Turns { within: Duration::from_secs(60), vital: false }),
};

/// A signal that is provoked, and the kinds of record that one act makes.
struct Provoked {
    signal: &'static Signal,
    kinds: &'static [u16],
}

/// Every signal that is. Waits for RTNL cannot be made without keeping others from it, and fds are
/// polled.
static PROVOKED: [Provoked; 3] = [
    Provoked { signal: &tc::SIGNAL, kinds: &[kind::TC_REQUEST] },
    Provoked { signal: &fork::SIGNAL, kinds: &[kind::FORK_REJECTED] },
    Provoked { signal: &netlink::SIGNAL, kinds: &[kind::NETLINK_OPEN, kind::NETLINK_CLOSE] },
];
const TC: usize = 0;
const FORK: usize = 1;
const NETLINK: usize = 2;

/// Names of the signals that are provoked, as metric labels.
pub const LABELS: [&str; PROVOKED.len()] =
    [tc::SIGNAL.name, fork::SIGNAL.name, netlink::SIGNAL.name];

/// What the acting thread and the pipeline both know of one signal.
#[derive(Default)]
struct Flight {
    /// Whether its hook sees anything here.
    covered: bool,
    /// When the oldest act that did not come through yet was done (ns since the start); 0 for none.
    sent: AtomicU64,
    /// Whether the last one failed.
    failing: AtomicBool,
}

/// What both sides share.
struct Shared {
    began: Instant,
    flights: [Flight; PROVOKED.len()],
    metrics: Arc<Metrics>,
}

/// The near end, in the pipeline.
pub struct Canary {
    thread: OwnThread,
    shared: Arc<Shared>,
    within: Span,
    /// The kinds of each signal that came since the last whole act, as bits.
    came: [u8; PROVOKED.len()],
}

impl Canary {
    /// Starts the acting thread; `None` when the configuration wants no canary. To be called when the
    /// hooks are there, and what was open before has been looked at: a canary's socket is nobody's.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(
        config: &CanaryConfig,
        coverage: &[Coverage],
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> io::Result<Option<Self>> {
        let Some(every) = config.every.span() else { return Ok(None) };
        // The first hook of a signal is the one it lives by, and the one that is provoked.
        let covered = PROVOKED.each_ref().map(|provoked| {
            let mut hooks =
                coverage.iter().filter(|covered| covered.signal.wire == provoked.signal.wire);
            hooks.next().is_some_and(|first| first.rung.is_some())
        });
        let name = OwnThread::unique_name("canary");
        let canary = Self::new(&name, covered, config.within, metrics);
        let shared = Arc::clone(&canary.shared);
        supervisor.thread(PART, 128 * 1024, move |beat| {
            OwnThread::take_name(&name);
            loop {
                beat.turn();
                shared.act();
                beat.rest();
                thread::sleep(every);
            }
        })?;
        Ok(Some(canary))
    }

    fn new(
        name: &str,
        covered: [bool; PROVOKED.len()],
        within: Span,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let flights = covered.map(|covered| Flight { covered, ..Flight::default() });
        let shared = Shared { began: Instant::now(), flights, metrics: Arc::clone(metrics) };
        let (thread, came) = (OwnThread::named(name), [0; PROVOKED.len()]);
        Self { thread, shared: Arc::new(shared), within, came }
    }

    /// Takes an event if it is the canary's own; then nobody else must hear of it.
    pub fn takes(&mut self, kind: u16, context: &Context) -> bool {
        if !self.thread.did(context.pid, context.tid, context.comm) {
            return false;
        }
        let provoked = PROVOKED.iter().position(|one| one.signal.wire == u32::from(kind >> 8));
        let Some(index) = provoked else { return false };
        self.shared.metrics.canary.event(LABELS[index]);
        let kinds = PROVOKED[index].kinds;
        if let Some(bit) = kinds.iter().position(|known| *known == kind) {
            self.came[index] |= 1 << bit;
        }
        if usize::try_from(self.came[index].count_ones()) == Ok(kinds.len()) {
            self.came[index] = 0;
            self.shared.came_through(index);
        }
        true
    }

    /// Looks for one that did not come in time.
    pub fn tick(&mut self) {
        let now = self.shared.now();
        for (index, flight) in self.shared.flights.iter().enumerate() {
            let sent = flight.sent.load(Relaxed);
            if sent != 0 && now.saturating_sub(sent) > self.within.ns() {
                flight.sent.store(0, Relaxed);
                let rung = format!("did not come through within {}", self.within);
                self.shared.failed(index, &rung);
            }
        }
    }
}

impl Shared {
    fn now(&self) -> u64 {
        let since = self.began.elapsed().max(Duration::from_nanos(1));
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Does one act of each signal.
    fn act(&self) {
        self.tried(&[FORK], acts::refused_clone);
        match self.flights[TC].covered {
            // One socket serves both.
            true => self.tried(&[NETLINK, TC], acts::request_for_nobody),
            false => self.tried(&[NETLINK], acts::socket_for_nothing),
        }
    }

    fn tried(&self, of: &[usize], act: fn() -> io::Result<()>) {
        let covered = of.iter().filter(|index| self.flights[**index].covered);
        let covered: Vec<usize> = covered.copied().collect();
        if covered.is_empty() {
            return;
        }
        // Before the act: its event may be there sooner than the act's end. The oldest one counts.
        for index in &covered {
            let sent = &self.flights[*index].sent;
            let _ = sent.compare_exchange(0, self.now(), Relaxed, Relaxed);
        }
        if let Err(error) = act() {
            for index in covered {
                self.flights[index].sent.store(0, Relaxed);
                self.failed(index, &format!("could not be provoked: {error}"));
            }
        }
    }

    fn came_through(&self, index: usize) {
        let (flight, signal) = (&self.flights[index], LABELS[index]);
        flight.sent.store(0, Relaxed);
        self.metrics.canary.came_through(signal);
        if flight.failing.swap(false, Relaxed) {
            say(&format!("canary: {signal} comes through again"));
        }
    }

    fn failed(&self, index: usize, why: &str) {
        let signal = LABELS[index];
        self.metrics.canary.failed(signal);
        // Once, until it comes through again: the metric counts.
        if !self.flights[index].failing.swap(true, Relaxed) {
            say(&format!(
                "canary: {signal} {why}; what happens to this signal may go unseen: `nodeprobe selftest` \
                 says which part fails"
            ));
        }
    }
}
