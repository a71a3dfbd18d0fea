//! Starts every thread and task: all are there before the first event, so the agent works when nothing
//! can fork any more.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aya::Ebpf;
use tokio::net::TcpListener;

use super::{
    RunError,
    gaps::Gaps,
    kernel_log,
    notify::{Notifier, Notify},
    prepare::Prepared,
    ready,
    signals::Signals,
};
use crate::{
    cli::say,
    config::{Listen, settings::Settings},
    event::BootNs,
    findings::clock::boot_now,
    kernel::capability::Capability,
    metrics::{
        Metrics,
        access::Access,
        http::{self, Exporter},
    },
    pipeline::Pipeline,
    probe::{cost, counters::Counters, coverage::Coverage, modules::Modules, object::Probe},
    signals::netlink,
    sinks::Sinks,
    source::{
        poll::{self, Polls, rtnl::RtnlPoller},
        ring::LiveRing,
        seed::tc::{self, Snapshot},
        untold::Untold,
    },
    supervise::{Supervisor, health::Health},
};

/// Everything that is at work.
pub struct Agent {
    /// Attached for as long as it lives.
    pub ebpf: Arc<Mutex<Ebpf>>,
    /// The kernel counts runs of programs while it lives.
    pub _run_counts: Option<OwnedFd>,
    pub coverage: Vec<Coverage>,
    pub modules: Modules,
    /// Capabilities it was not given.
    pub missing: Vec<Capability>,
    pub settings: Settings,
    pub gaps: Gaps,
    pub source: LiveRing,
    pub untold: Untold,
    pub polls: Polls,
    pub snapshot: Snapshot,
    pub signals: Signals,
    pub pipeline: Pipeline,
    pub sinks: Sinks,
    pub supervisor: Supervisor,
    pub health: Arc<Health>,
    pub notifier: Option<Notifier>,
    pub metrics: Arc<Metrics>,
}

impl Agent {
    /// Starts all that needs the runtime, and says what it sees. `started` is when the process began (ns
    /// since boot).
    pub async fn start(
        settings: Settings,
        prepared: Prepared,
        mut supervisor: Supervisor,
        metrics: Arc<Metrics>,
        started: BootNs,
    ) -> Result<Self, RunError> {
        let config = &settings.config;
        let failed = |part| move |source: io::Error| RunError::Start { part, source };
        let Prepared { probe, modules, pipeline, missing } = prepared;
        let Probe { mut ebpf, ring, counters, rtnl_waiting, untold, coverage, map_bytes } = probe;
        let sinks = Sinks::of(config, false, &metrics, &mut supervisor)?;
        let source = LiveRing::new(ring).map_err(RunError::Ring)?;
        kernel_log::start(&mut ebpf, &mut supervisor);
        let health = Arc::new(Health::default());
        let counters = Arc::new(counters);
        let gaps = Gaps::new(Arc::clone(&counters), names_inodes(&coverage));
        metrics.observe_maps(&map_bytes);
        let ebpf = Arc::new(Mutex::new(ebpf));
        let access = Access::of(&config.metrics).map_err(RunError::Access)?;
        let look = looks(counters, &ebpf);
        let exporter =
            Exporter { metrics: Arc::clone(&metrics), health: Arc::clone(&health), access, look };
        let url = serve_metrics(config.metrics.listen, exporter, &mut supervisor).await?;
        let waits = Box::new(RtnlPoller(rtnl_waiting));
        let polls = poll::start(config, vec![waits], &mut supervisor);
        let polls = polls.map_err(failed("pollers"))?;
        let signals = Signals::new().map_err(RunError::Runtime)?;
        let notifier = Notifier::from_env();
        // It runs while the ring is read: each look tells when it was.
        let snapshot = tc::start(&mut supervisor).map_err(failed("tc snapshot"))?;
        announce(&coverage, &missing, &metrics, url.as_deref(), started);
        sinks.gaps().for_each(|gap| say(&gap));
        Ok(Self {
            ebpf,
            _run_counts: config.metrics.bpf_stats.then(cost::count_runs).flatten(),
            coverage,
            modules,
            missing,
            settings,
            gaps,
            source,
            untold,
            polls,
            snapshot,
            signals,
            pipeline,
            sinks,
            supervisor,
            health,
            notifier,
            metrics,
        })
    }

    /// All that it does not see or cannot do, a line each.
    pub fn gaps_told(&self) -> Vec<String> {
        let hooks = ready::gaps(&self.coverage);
        hooks.chain(ready::missing(&self.missing)).chain(self.sinks.gaps()).collect()
    }

    /// Tells whoever asks that the agent is ready: hooks are attached and the ring was drained once.
    pub fn tell_ready(&mut self) {
        self.health.ready(self.gaps_told());
        if let Some(notifier) = &mut self.notifier {
            notifier.send(&Notify::Ready(&ready::status(&self.coverage)));
        }
    }
}

fn names_inodes(coverage: &[Coverage]) -> bool {
    let mut netlink = coverage.iter().filter(|hook| hook.signal.wire == netlink::SIGNAL.wire);
    netlink.any(|hook| hook.rung.is_some_and(netlink::names_inodes))
}

/// What a scrape takes over from the kernel side, for as long as that is there.
fn looks(counters: Arc<Counters>, ebpf: &Arc<Mutex<Ebpf>>) -> Box<dyn Fn(&Metrics) + Send + Sync> {
    let ebpf = Arc::downgrade(ebpf);
    Box::new(move |metrics| {
        metrics.observe_kernel(&counters);
        if let Some(ebpf) = ebpf.upgrade() {
            metrics.observe_programs(&ebpf.lock().unwrap_or_else(PoisonError::into_inner));
        }
    })
}

/// Returns the address of the metrics.
async fn serve_metrics(
    listen: Listen,
    exporter: Exporter,
    supervisor: &mut Supervisor,
) -> Result<Option<String>, RunError> {
    let Listen::At(address) = listen else {
        return Ok(None);
    };
    let cannot = |source| RunError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let url = format!("{}://{address}/metrics", exporter.access.scheme());
    let clients = supervisor.spawner(&http::CLIENT);
    supervisor.task(http::PART, http::serve(listener, Arc::new(exporter), clients));
    Ok(Some(url))
}

fn announce(
    coverage: &[Coverage],
    missing: &[Capability],
    metrics: &Metrics,
    url: Option<&str>,
    started: BootNs,
) {
    let took = Duration::from_nanos(boot_now().saturating_sub(started));
    metrics.observe_coverage(coverage, took.as_secs_f64());
    for line in ready::lines(coverage, url, took).into_iter().chain(ready::missing(missing)) {
        say(&line);
    }
}
