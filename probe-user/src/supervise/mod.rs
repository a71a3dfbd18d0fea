//! The supervisor: it knows every thread and task of the agent, and what the end of each means. None
//! ends unnoticed, and what a panic said is told with the end of the agent.
//!
//! To add a thread or task: declare a [`Part`], start the work with [`Supervisor::thread`] or
//! [`Supervisor::task`], and note the turns of its loop with the [`Heartbeat`] it is given.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use thiserror::Error;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{cli::say, event::BootNs, metrics::Metrics};

pub mod guard;
pub mod health;
pub mod heartbeat;
mod part;
mod watch;

use guard::Failure;
use heartbeat::Heartbeat;
pub use part::{End, Part, Turns};
pub use watch::State;
use watch::Watch;

/// Ends that may wait to be judged; a part that finds no room waits with its own.
const QUEUE: usize = 64;

/// A part ended that the agent cannot do without.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{part} ended: {why}; {help}")]
pub struct Unexpected {
    pub part: &'static str,
    why: String,
    help: &'static str,
}

/// A part that ended, and how.
struct Ended {
    part: Part,
    how: Result<(), Failure>,
    /// The heartbeat of a thread that was dismissed.
    dismissed: Option<Heartbeat>,
}

impl Ended {
    /// What the agent dies of, if it does.
    fn unexpected(&self) -> Option<Unexpected> {
        let Part { name, end, help, .. } = self.part;
        if self.dismissed.is_some() {
            return None;
        }
        let (why, help) = match (&self.how, end) {
            (_, End::Any) | (Ok(()), End::WhenDone) => return None,
            (Ok(()), End::Never) => ("it returned, which it must not".into(), guard::REPORT),
            (Err(Failure::Error(why)), _) => (why.clone(), help),
            (Err(failure @ Failure::Panic(_)), _) => (failure.to_string(), guard::REPORT),
        };
        Some(Unexpected { part: name, why, help })
    }
}

/// Starts tasks, and tells the supervisor of their ends.
#[derive(Clone)]
pub struct Spawner(Sender<Ended>);

impl Spawner {
    /// Starts a task on the current runtime. It turns with the loop that drives the runtime, so it has
    /// no heartbeat.
    pub fn spawn(&self, part: Part, work: impl Future<Output = io::Result<()>> + Send + 'static) {
        let to = self.0.clone();
        tokio::spawn(async move {
            let how = guard::task(work).await;
            // Nobody is told when the agent is ending anyway.
            let _ = to.send(Ended { part, how, dismissed: None }).await;
        });
    }
}

/// A thread at work.
pub struct Thread {
    handle: thread::JoinHandle<Result<(), Failure>>,
    dismissed: Arc<AtomicBool>,
}

impl Thread {
    /// Whether it ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Which it is, of all that there ever were.
    #[cfg(test)]
    #[must_use]
    pub fn id(&self) -> thread::ThreadId {
        self.handle.thread().id()
    }

    /// Its end is asked for: from now on the agent goes on without it, however it ends.
    pub fn dismiss(&self) {
        self.dismissed.store(true, Relaxed);
    }

    /// Waits for its end and tells how that was.
    ///
    /// # Errors
    /// The error or panic it ended with.
    pub fn join(self) -> Result<(), Failure> {
        self.handle.join().unwrap_or_else(|payload| Err(Failure::of_panic(payload.as_ref())))
    }
}

/// Keeps an eye on every part.
pub struct Supervisor {
    spawner: Spawner,
    ends: Receiver<Ended>,
    watch: Watch,
    metrics: Arc<Metrics>,
}

impl Supervisor {
    /// A supervisor of nothing yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (to, ends) = channel(QUEUE);
        Self { spawner: Spawner(to), ends, watch: Watch::default(), metrics }
    }

    /// Starts a thread with a stack of so many bytes. It notes the turns of its loop on the heartbeat.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn thread(
        &mut self,
        part: Part,
        stack: usize,
        work: impl FnOnce(&Heartbeat) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Thread> {
        let (beat, Spawner(to)) = (Heartbeat::default(), self.spawner.clone());
        let of_thread = beat.clone();
        self.metrics.loops.register(&part);
        if let Some(turns) = part.turns {
            self.watch.add(part.name, turns, beat.clone());
        }
        let dismissed = Arc::<AtomicBool>::default();
        let asked = Arc::clone(&dismissed);
        let body = move || {
            let how = guard::call(|| work(&of_thread));
            // Nothing is due of it any more.
            of_thread.rest();
            // Nobody is told when the agent is ending anyway.
            let dismissed = asked.load(Relaxed).then_some(of_thread);
            let _ = to.blocking_send(Ended { part, how: how.clone(), dismissed });
            how
        };
        let thread = thread::Builder::new().name(part.name.into()).stack_size(stack).spawn(body);
        let handle = thread.inspect_err(|_| self.forget(part.name, &beat))?;
        Ok(Thread { handle, dismissed })
    }

    /// Starts a task on the current runtime.
    pub fn task(
        &mut self,
        part: Part,
        work: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        self.spawner(&part).spawn(part, work);
    }

    /// For a part that starts tasks of its own, many of one kind.
    #[must_use]
    pub fn spawner(&self, part: &Part) -> Spawner {
        self.metrics.loops.register(part);
        self.spawner.clone()
    }

    /// Waits until a part ends that the agent cannot do without. The end of another that failed is
    /// said and counted. Nothing is lost when this is not waited for any more.
    pub async fn unexpected_end(&mut self) -> Unexpected {
        loop {
            // It never closes: the supervisor itself has a sender.
            let Some(ended) = self.ends.recv().await else { std::future::pending().await };
            if let Some(unexpected) = ended.unexpected() {
                return unexpected;
            }
            let Part { name, help, .. } = ended.part;
            if let Some(beat) = &ended.dismissed {
                self.forget(name, beat);
                if let Err(failure) = &ended.how {
                    say(&format!("{name}, which was to end, ended: {failure}"));
                }
            } else if let Err(failure) = &ended.how {
                say(&format!("{name} ended: {failure}; {help}"));
                self.metrics.loops.failed(name);
            }
        }
    }

    /// Watches a loop no more. Its series go, unless another has its name by now.
    fn forget(&mut self, name: &str, beat: &Heartbeat) {
        self.watch.remove(beat);
        if self.watch.states().all(|state| state.name != name) {
            self.metrics.loops.forget(name);
        }
    }

    /// Takes the time: finds loops that do not turn, says so, and mirrors all in the metrics. Returns
    /// the names of the loops that are stuck.
    pub fn tick(&mut self, now: BootNs) -> Stuck {
        for change in self.watch.tick(now) {
            say(&change.to_string());
        }
        let mut stuck = Stuck::default();
        for state in self.watch.states() {
            self.metrics.loops.observe(&state);
            if state.stuck {
                stuck.all.push(state.name);
                stuck.vital |= state.vital;
            }
        }
        stuck
    }
}

/// Loops that are stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// Their names.
    pub all: Vec<&'static str>,
    /// Whether one of them is a reason to be restarted.
    pub vital: bool,
}

#[cfg(test)]
mod tests;
