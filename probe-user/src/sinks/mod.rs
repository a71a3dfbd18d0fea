//! Sinks: where findings and events go. Each has its own queue, its own thread and its own runtime, so
//! one that stalls stalls nobody else, and detection least of all.
//!
//! ```text
//! Outlet -> queue -> Delivery { store -> batch -> Backend } -> dead letters for what is refused
//! ```
//!
//! To add one: a folder with `mod.rs` (the [`Backend`]), `config.rs` (its [`Kind`]) and `encode.rs` (a
//! record in its words), and a line in [`kinds`].

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{
    config::{Config, sinks::SinksConfig, spool::SpoolConfig},
    kernel::capability,
    metrics::Metrics,
    supervise::{End, Part, Supervisor, Thread, Turns, guard::Failure},
};

pub mod alertmanager;
pub mod backend;
pub mod call;
pub mod change;
mod dead;
mod deliver;
pub mod elasticsearch;
mod episode;
mod facts;
pub mod file;
pub mod filter;
pub mod journald;
pub mod kafka;
pub mod kinds;
pub mod kubernetes_conditions;
pub mod kubernetes_events;
mod labels;
mod lines;
pub mod loki;
pub mod nats;
pub mod node;
pub mod otlp;
mod outlets;
pub mod pauses;
mod priority;
pub mod queue;
pub mod record;
pub mod runtime;
pub mod spool;
pub mod stdout;
pub mod store;
pub mod syslog;
pub mod webhook;

pub use backend::{Answer, Backend};
use dead::Dead;
use deliver::Delivery;
pub use deliver::Policy;
use filter::Filter;
pub use kinds::Kind;
use kinds::{SinkConfig, Site};
pub use outlets::Outlets;
use queue::queue;
use spool::{Limits, Spool, Teller};
use store::{Memory, Store};

/// Stack of a sink's thread (bytes). What makes gzip has large tables, which are built there; what is not
/// touched costs nothing.
const STACK: usize = 1024 * 1024;

/// A sink that is configured. One that waits for its backend is not stuck.
const PART: Part = Part {
    name: "sink",
    end: End::Never,
    help: "start nodeprobe again: what it had not handed over yet is in its spool, if it has one",
    turns: Some(Turns { within: Duration::from_secs(60), vital: false }),
};

/// How often an ending sink is looked at.
const POLL: Duration = Duration::from_millis(5);

/// Why a sink did not end well.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SinkError {
    #[error(transparent)]
    Failed(#[from] Failure),
    #[error("it takes nothing more; findings were lost after {0:?}")]
    Stuck(Duration),
}

/// Why a sink cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("sinks.{sink}: {why}")]
    Open { sink: String, why: String },
    #[error(
        "sink {sink} cannot start: {source}; is the node, or the cgroup, at a limit of tasks or fds?"
    )]
    Thread { sink: &'static str, source: io::Error },
    #[error(
        "{0} sinks that were removed have not ended yet: something holds them up; start nodeprobe again, or reload later"
    )]
    Leaving(usize),
}

/// How a sink ended.
pub struct Ended {
    pub sink: &'static str,
    /// Name of its thread.
    pub part: &'static str,
    pub how: Result<(), SinkError>,
}

/// All of a sink, before it starts.
pub struct Plan {
    pub name: &'static str,
    pub part: Part,
    pub filter: Filter,
    /// Whether who finds something waits for room: for a source that can wait too.
    pub patient: bool,
    pub policy: Policy,
    /// The directory of its spool, if it is to have one.
    pub spool: Option<(PathBuf, Limits)>,
    pub backend: Box<dyn Backend>,
}

/// The sinks at work.
#[derive(Default)]
pub struct Sinks {
    pub outlets: Outlets,
    /// Sinks that were to have a spool at the start, and why it could not be used.
    unspooled: Vec<(&'static str, String)>,
    /// Where spools are.
    spool: SpoolConfig,
    /// What the configured ones are.
    config: SinksConfig,
    running: Vec<Running>,
    /// Those that are configured no more, while they have their last words.
    leaving: Vec<Running>,
    /// Of those that ended so, the ones that lost findings: their series stay until the next change.
    bereft: Vec<&'static str>,
}

/// The thread of a sink.
struct Running {
    sink: &'static str,
    part: &'static str,
    thread: Thread,
}

impl Running {
    fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Sinks {
    /// Starts stdout, unless it is not wanted, and every sink that is configured.
    ///
    /// # Errors
    /// [`StartError`] of the first that cannot start.
    pub fn of(
        config: &Config,
        patient: bool,
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<Self, StartError> {
        let mut sinks = Self::default();
        // A file that may not grow further is an error to wait out (setrlimit(2)), no reason to be killed.
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        if let Some(plan) = stdout::plan(&config.output, patient) {
            sinks.start(plan, metrics, supervisor)?;
        }
        for (name, sink) in &config.sinks.0 {
            let plan = Plan::of(name, sink, &config.spool, patient)?;
            sinks.start(plan, metrics, supervisor)?;
        }
        sinks.config = config.sinks.clone();
        sinks.spool = config.spool.clone();
        Ok(sinks)
    }

    /// Starts a sink on a thread of its own: files can block for as long as they like.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be made.
    pub fn start(
        &mut self,
        plan: Plan,
        metrics: &Arc<Metrics>,
        supervisor: &mut Supervisor,
    ) -> Result<(), StartError> {
        let Plan { name, part, filter, patient, policy, spool, backend } = plan;
        let failed = |source| StartError::Thread { sink: name, source };
        let (outlet, inlet) = queue(name, filter, patient, metrics);
        let runtime = runtime::of(backend.looks_up()).map_err(failed)?;
        let dead = Dead::new(name, spool.as_ref().map(|(dir, _)| dir.as_path()), metrics);
        let store: Box<dyn Store> = match spool {
            Some((dir, limits)) => {
                let teller = Teller::new(name, dir.clone(), metrics.register_spool(name));
                let spool = Spool::open(dir, limits, teller);
                self.unspooled.extend(spool.trouble().map(|why| (name, why.to_owned())));
                Box::new(spool)
            }
            None => {
                metrics.forget_spool(name);
                Box::new(Memory::new(policy.most))
            }
        };
        let thread = supervisor.thread(part, STACK, move |beat| {
            capability::give_up_in_sink()?;
            let inlet = inlet.beating(beat.clone());
            runtime.block_on(Delivery { backend, store, dead, policy, inlet }.run())
        });
        let thread = thread.map_err(failed)?;
        self.running.push(Running { sink: name, part: part.name, thread });
        self.outlets.extend([outlet]);
        Ok(())
    }

    /// A line for each sink that was to have a spool and has none.
    pub fn gaps(&self) -> impl Iterator<Item = String> {
        self.unspooled.iter().map(|(sink, why)| {
            format!(
                "not spooled: {sink}: its findings wait in memory, and end with the agent ({why})"
            )
        })
    }

    /// Closes every queue, waits for what is in them but at most `patience`, and tells how each sink
    /// ended.
    pub fn finish(self, patience: Duration) -> Vec<Ended> {
        let Self { outlets, running, leaving, .. } = self;
        drop(outlets);
        let deadline = Instant::now() + patience;
        let all_ended = || running.iter().chain(&leaving).all(Running::is_finished);
        while !all_ended() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        for Running { sink, .. } in leaving.iter().filter(|leaving| !leaving.is_finished()) {
            log::warn!("{sink}, which was to end, has not: what it had is lost");
        }
        let how = |thread: Thread| match thread.is_finished() {
            true => Ok(thread.join()?),
            false => Err(SinkError::Stuck(patience)),
        };
        let ended = running.into_iter();
        ended.map(|Running { sink, part, thread }| Ended { sink, part, how: how(thread) }).collect()
    }
}

impl Plan {
    /// Of a sink that is configured.
    ///
    /// # Errors
    /// What is wrong with its settings.
    pub fn of(
        name: &str,
        config: &SinkConfig,
        spool: &SpoolConfig,
        patient: bool,
    ) -> Result<Self, StartError> {
        let wrong = |why| StartError::Open { sink: name.into(), why };
        let name = intern(name);
        let site = Site { sink: name, node: node::name() };
        let backend = config.open(&site).map_err(wrong)?;
        let policy = config.policy().ok_or_else(|| wrong("it has no kind".into()))?;
        let part = Part { name: intern(&format!("sink-{name}")), ..PART };
        let spool = config.is_spooled().then(|| (spool.of(name), Limits::from(&config.spool)));
        let filter = config.filter.filter();
        Ok(Self { name, part, filter, patient, policy, spool, backend })
    }
}

/// Makes a name of the configuration live as long as the agent, once however often it is read.
fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
