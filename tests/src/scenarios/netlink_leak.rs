//! Calico 3.29.0's leak (projectcalico/calico#9603): a netlink socket every half minute, never closed.

use anyhow::Result;

use crate::exec;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::netns::Netns;
use crate::scenario::{Act, Played, Props, Quiet, Scenario, Silence, Stage};
use crate::workload::fd::attainable_fds;

/// Open sockets from which growth is a leak, in the agent's defaults.
const WARN_OPEN: u64 = 64;
/// Open sockets that are critical whatever the growth, in the agent's defaults.
const CRITICAL_OPEN: u64 = 512;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "netlink-leak",
    summary: "a daemon opens netlink sockets and never closes them, slowly and fast",
    expected: "netlink-leak about the daemon: warning while it grows, critical at 512 and when its own limit \
               is near, resolved at its end",
    config: "[netlink]\nbucket = \"1s\"\nbuckets = 20\nhold = \"2s\"\n[fd]\npoll = \"1s\"\n",
    prelude: None,
    quiet: &[HOLDERS, CHURN, TOOLS],
    acts: &[
        Act { summary: "leaky-agent leaks four sockets a second", play: slow_leak, resolves: true },
        Act {
            summary: "leaky-agent leaks four sockets a second and may have 1,024 fds",
            play: small_limit,
            resolves: true,
        },
        Act { summary: "leaky-agent leaks 600 sockets at once", play: fast_leak, resolves: true },
    ],
};

/// Daemons whose sockets are many and steady; they go on while the leaks are played.
pub const HOLDERS: Quiet = Quiet {
    summary: "daemons that hold 60 sockets, and one for each of 70 pods",
    signal: "netlink",
    play: hold,
};

/// Sockets that are closed after use.
pub const CHURN: Quiet = Quiet {
    summary: "600 sockets opened, used and closed by one process",
    signal: "netlink",
    play: churn,
};

/// The tools an operator loops over.
pub const TOOLS: Quiet =
    Quiet { summary: "200 calls of ip and ss", signal: "netlink", play: tools };

fn slow_leak(stage: &Stage) -> Result<Played> {
    // Four a second are 58 hours to 80 % of this limit.
    const FAR: u64 = 1_048_576;
    let limit = attainable_fds(FAR);
    let severity = if limit == FAR { Severity::Warning } else { Severity::Critical };
    leak_slowly(stage, limit, severity)
}

fn small_limit(stage: &Stage) -> Result<Played> {
    leak_slowly(stage, 1_024, Severity::Critical)
}

fn leak_slowly(stage: &Stage, limit: u64, severity: Severity) -> Result<Played> {
    let nofile = limit.to_string();
    let args = ["--count", "400", "--pause-ms", "250", "--nofile", &nofile];
    leak(stage, &args, |expected| {
        expected
            .severity(severity)
            .at_least("/evidence/open", WARN_OPEN)
            .below("/evidence/open", CRITICAL_OPEN)
            .is("/evidence/fd_limit", limit)
            .at_least("/evidence/seconds_to_limit", 1)
    })
}

fn fast_leak(stage: &Stage) -> Result<Played> {
    leak(stage, &["--count", "600"], |expected| {
        expected.severity(Severity::Critical).at_least("/evidence/open", CRITICAL_OPEN)
    })
}

fn leak(
    stage: &Stage,
    args: &[&str],
    expecting: impl FnOnce(Expectation) -> Expectation,
) -> Result<Played> {
    let mut leaky = Actor::start("leaky-agent", ["netlink-leak"].iter().chain(args))?;
    stage.reporter.progress(format!("leaky-agent is process {}", leaky.pid()));
    let since = leaky.first_bad_act()?;
    let about_it = Expectation::firing("netlink-leak")
        .is("/subject/process/pid", leaky.pid())
        .is("/subject/process/comm", "leaky-agent");
    Ok(Played { since, expected: vec![expecting(about_it)], props: vec![Box::new(leaky)] })
}

fn hold(_: &Stage) -> Result<Silence> {
    const FLAT: u64 = 60;
    const PODS: usize = 70;
    let mut flat = Actor::start("steady-agent", ["netlink-hold", "--count", &FLAT.to_string()])?;
    let pods = (0..PODS).map(|_| Netns::create()).collect::<Result<Vec<_>>>()?;
    let paths = pods.iter().map(|pod| pod.path().into_os_string());
    let mut per_pod =
        Actor::start("pod-watcher", std::iter::once("netlink-hold".into()).chain(paths))?;
    let events = flat.done()? + per_pod.done()?;
    let props: Props = vec![Box::new(flat), Box::new(per_pod), Box::new(pods)];
    Ok(Silence { events, props })
}

fn churn(_: &Stage) -> Result<Silence> {
    let closed = Actor::start("busy-client", ["netlink-churn", "--count", "600"])?.finish()?;
    Ok(Silence { events: 2 * closed, props: Vec::new() })
}

fn tools(_: &Stage) -> Result<Silence> {
    const CALLS: u64 = 200;
    for call in 0..CALLS {
        match call % 2 {
            0 => exec::run_words("ip", "-o link show")?,
            _ => exec::run_words("ss", "-H -t -n")?,
        };
    }
    // Each `ip` opens and closes a socket; `ss` can do without where the kernel has no socket diagnosis.
    Ok(Silence { events: CALLS, props: Vec::new() })
}
