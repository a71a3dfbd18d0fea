//! `nodeprobe run`: sets the stages up, keeps them going, takes them down.
//!
//! A new thread or task goes into [`start`], a new source also into the loop of [`watch`], what is to
//! happen each second into [`tick`], what has last words into [`end`].

use std::{io, net::SocketAddr, sync::Arc};

use thiserror::Error;

use crate::{
    config::settings::Settings,
    event::BootNs,
    kubernetes,
    metrics::Metrics,
    probe::{ground::Ground, object::ProbeError},
    sinks::{SinkError, StartError},
    source::capture::WriteError,
    supervise::{
        Supervisor, Unexpected,
        guard::{self, Failure},
    },
};

mod capture;
mod end;
mod gaps;
mod kernel_log;
mod notify;
mod prepare;
mod ready;
mod reload;
mod signals;
mod start;
mod tick;
mod watch;

pub use capture::Capture;
use prepare::Prepared;
use start::Agent;

/// Why the agent ended.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(
        "no hook could be attached on the rung that was asked for: {0}; `nodeprobe doctor` says more"
    )]
    Blind(String),
    #[error("{hook} cannot run as it was asked to: {why}; {todo}")]
    Asked { hook: String, why: String, todo: String },
    #[error(
        "the metrics endpoint cannot listen on {address}: {source}; choose another with --listen, or \"none\""
    )]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the metrics endpoint cannot be protected as it was asked to: {0}")]
    Access(String),
    #[error(transparent)]
    Capture(#[from] WriteError),
    #[error(transparent)]
    Kubernetes(#[from] kubernetes::StartError),
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error(
        "{part} cannot start: {source}; is the node, or the cgroup, at a limit of tasks or fds?"
    )]
    Start { part: &'static str, source: io::Error },
    #[error("the ring buffer cannot be read: {0}; start nodeprobe again")]
    Ring(#[source] io::Error),
    #[error(transparent)]
    Sink(#[from] StartError),
    #[error(transparent)]
    Ended(#[from] Unexpected),
    #[error("sink {sink}: {source}")]
    LastWords { sink: &'static str, source: SinkError },
    #[error("{0}; {help}", help = guard::REPORT)]
    Bug(Failure),
}

/// Watches the node until a signal asks for the end. `started` is when the process began (ns since
/// boot).
///
/// # Errors
/// [`RunError`] when it cannot start, or when a part of it ends that must not: better restarted
/// than alive and blind.
pub fn run(
    settings: Settings,
    ground: &Ground,
    kernel_log: bool,
    capture: Option<Capture>,
    started: BootNs,
) -> Result<(), RunError> {
    guard::tell_panics();
    // What panics before the loop, or after it, has no last words but its own.
    guard::call(|| Ok(whole_life(settings, ground, kernel_log, capture, started)))
        .map_err(RunError::Bug)?
}

fn whole_life(
    settings: Settings,
    ground: &Ground,
    kernel_log: bool,
    capture: Option<Capture>,
    started: BootNs,
) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::new()?);
    let mut supervisor = Supervisor::new(Arc::clone(&metrics));
    let prepared =
        Prepared::new(&settings.config, ground, kernel_log, capture, &metrics, &mut supervisor)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(async {
        let mut agent = Agent::start(settings, prepared, supervisor, metrics, started).await?;
        let watched = guard::task(async { Ok(agent.watch().await) }).await;
        agent.end(watched.unwrap_or_else(|failure| Err(RunError::Bug(failure))))
    })
}
