//! `nodeprobe run`: sets the stages up, keeps them going, takes them down.

use std::{io, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    cli::say,
    config::{Config, Listen},
    decode::as_bytes,
    enrich::{Enricher, cgroup::PidsHierarchy},
    event::BootNs,
    findings::clock::boot_now,
    kernel::{facts::Facts, fields::Offsets},
    metrics::{
        Metrics,
        http::{self, Exporter},
    },
    pipeline::Pipeline,
    probe::{
        hook::Rung,
        ladder::Coverage,
        object::{Options, Probe, ProbeError},
    },
    signals::netlink,
    sinks::{self, Outlet, stdout},
    source::{
        Source,
        capture::WriteError,
        poll::{self, rtnl::RtnlPoller},
        ring::LiveRing,
        seed,
    },
    symbols::Symbols,
};

mod capture;
mod kernel_log;
mod ready;

pub use capture::Capture;

/// How often time is given to the detectors.
const TICK: Duration = Duration::from_secs(1);

/// How long a sink may take for what is still queued at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the agent ended.
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(
        "no hook could be attached, so nothing would be seen: {0}; `nodeprobe doctor` says more"
    )]
    Blind(String),
    #[error(
        "the metrics endpoint cannot listen on {address}: {source}; choose another with --listen, or \"none\""
    )]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error(transparent)]
    Capture(#[from] WriteError),
    #[error("metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error("{task} ended: {reason}")]
    Task { task: &'static str, reason: String },
}

/// Watches the node until a signal asks for the end. `started` is when the process began (ns since
/// boot).
///
/// # Errors
/// [`RunError`] when it cannot start, or when a part of it ends that must not: better restarted
/// than alive and blind.
pub fn run(
    config: &Config,
    rung: Option<Rung>,
    kernel_log: bool,
    capture: Option<Capture>,
    started: BootNs,
) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::new()?);
    let pids_on_cgroup_v1 = PidsHierarchy::find().is_some_and(|hierarchy| hierarchy.is_v1());
    let rtnl_least_wait_ns = config.rtnl.least_wait_ns();
    let options = Options { rung, kernel_log, pids_on_cgroup_v1, rtnl_least_wait_ns };
    let facts = Facts::read();
    let offsets = offsets(&facts);
    // Before any other thread: attaching may enter a mount namespace for tracefs.
    let mut probe = Probe::load(&facts, &offsets, options)?;
    if probe.coverage.iter().all(|covered| covered.rung.is_none()) {
        let why = probe.coverage.first().map_or_else(String::new, Coverage::why);
        return Err(RunError::Blind(why));
    }
    // Only now: paths of what was opened in another mount namespace would not be ours.
    let symbols = Symbols::start(probe.stacks()?, metrics.symbolized.clone());
    let symbols = symbols.map_err(RunError::Runtime)?;
    let enricher = Enricher::new(PidsHierarchy::find(), &config.enrich).with_symbols(symbols);
    let recorder = capture.map(|capture| capture.start(&probe.coverage, &metrics)).transpose()?;
    let pipeline = Pipeline::new(config, enricher, Arc::clone(&metrics)).with_recorder(recorder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(watch(config, probe, pipeline, metrics, started))
}

fn offsets(facts: &Facts) -> Offsets {
    if !facts.btf {
        return Offsets::unknown();
    }
    let offsets = Offsets::of_running_kernel().unwrap_or_else(|error| {
        log::warn!("{error}; interfaces, namespaces and parents stay unnamed");
        Offsets::unknown()
    });
    for field in &offsets.missing {
        log::debug!("this kernel has no {}.{}", field.container, field.member);
    }
    offsets
}

async fn watch(
    config: &Config,
    probe: Probe,
    mut pipeline: Pipeline,
    metrics: Arc<Metrics>,
    started: BootNs,
) -> Result<(), RunError> {
    let failed = |task| move |error: io::Error| RunError::Task { task, reason: error.to_string() };
    let format = config.output.format;
    let stdout = sinks::start(stdout::NAME, Arc::clone(&metrics), move |findings| {
        stdout::run(format, &findings)
    });
    let stdout = stdout.map_err(failed("sink stdout"))?;
    let Probe { mut ebpf, ring, counters, rtnl_waiting, coverage } = probe;
    let mut source = LiveRing::new(ring).map_err(failed("ring buffer"))?;
    let waits = Box::new(RtnlPoller(rtnl_waiting));
    let mut polls = poll::start(config, vec![waits]).map_err(failed("pollers"))?;
    let _kernel_log = kernel_log::start(&mut ebpf);
    let mut tasks = JoinSet::new();
    let exporter = Exporter { metrics: Arc::clone(&metrics), counters };
    let address = serve_metrics(config.metrics.listen, exporter, &mut tasks).await?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Runtime)?;
    // It runs while the ring is read: each look tells when it was.
    let mut snapshot = seed::tc::start().map_err(failed("tc snapshot"))?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    announce(&coverage, &metrics, address, started);

    let outlets = [&stdout.outlet];
    // After the hooks and before the first drain: a socket that closes from now on is known by the
    // time its close comes out of the ring.
    if names_inodes(&coverage) {
        find_sockets(&mut pipeline, &metrics, &outlets);
    }
    let ended = loop {
        tokio::select! {
            ready = source.ready() => {
                if let Err(error) = ready {
                    break Err(failed("ring buffer")(error));
                }
                source.drain(|record| pipeline.record(record, &outlets));
            }
            facts = polls.next() => match facts {
                Some(facts) => facts.iter().for_each(|fact| pipeline.fact(fact, &outlets)),
                None => {
                    let reason = "their thread is gone".into();
                    break Err(RunError::Task { task: "pollers", reason });
                }
            },
            Some(found) = snapshot.next() => match found {
                seed::tc::Found::Link(records) => {
                    records.iter().for_each(|record| pipeline.seed(as_bytes(record), &outlets));
                }
                seed::tc::Found::Miss => metrics.seed_misses.inc(),
            },
            _ = ticks.tick() => {
                pipeline.tick(boot_now(), &outlets);
                if stdout.has_ended() {
                    break Ok(());
                }
            }
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            Some(task) = tasks.join_next() => {
                let reason = task.map_or_else(|error| error.to_string(), |end: io::Result<()>| {
                    end.map_or_else(|error| error.to_string(), |()| "for no reason".into())
                });
                break Err(RunError::Task { task: "metrics endpoint", reason });
            }
        }
    };
    // Detach first, then hand over what came until then.
    drop(ebpf);
    source.drain(|record| pipeline.record(record, &outlets));
    stdout.finish(LAST_WORDS).map_err(failed("sink stdout"))?;
    ended
}

fn names_inodes(coverage: &[Coverage]) -> bool {
    let mut netlink = coverage.iter().filter(|hook| hook.signal.wire == netlink::SIGNAL.wire);
    netlink.any(|hook| hook.rung.is_some_and(netlink::names_inodes))
}

/// Takes in the netlink sockets that were open before the hooks were there.
fn find_sockets(pipeline: &mut Pipeline, metrics: &Metrics, outlets: &[&Outlet]) {
    match seed::netlink::sockets(PidsHierarchy::find().as_ref(), |record| {
        pipeline.seed(record, outlets)
    }) {
        Ok(misses) => metrics.seed_misses.inc_by(misses),
        Err(error) => log::warn!("/proc: {error}; sockets opened before now stay unknown"),
    }
}

async fn serve_metrics(
    listen: Listen,
    exporter: Exporter,
    tasks: &mut JoinSet<io::Result<()>>,
) -> Result<Option<std::net::SocketAddr>, RunError> {
    let Listen::At(address) = listen else {
        return Ok(None);
    };
    let cannot = |source| RunError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    tasks.spawn(http::serve(listener, Arc::new(exporter)));
    Ok(Some(address))
}

fn announce(
    coverage: &[Coverage],
    metrics: &Metrics,
    address: Option<std::net::SocketAddr>,
    started: BootNs,
) {
    let took = Duration::from_nanos(boot_now().saturating_sub(started));
    metrics.observe_coverage(coverage, took.as_secs_f64());
    for line in ready::lines(coverage, address, took) {
        say(&line);
    }
}
