//! fds of every kind that are opened and never closed (aws/aws-network-policy-agent#146: eBPF maps;
//! istio/ztunnel#1629: connections that the peer closed), and a process out of fds.

use anyhow::Result;

use crate::clock::Moment;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage};
use crate::workload::fd::attainable_fds;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "fd-leak",
    summary: "daemons leak eventfds, inotify instances, pidfds, eBPF maps and connections; one is out of fds",
    expected: "fd-leak about each with the kind that grows, critical where its limit is near; fd-exhausted about \
               the one at its limit; resolved at their end",
    config: "[fd]\npoll = \"1s\"\nwarn_open = 256\nbuckets = 8\nhold = \"2s\"\n",
    prelude: None,
    quiet: &[FLAT, SAW],
    acts: &[
        Act {
            summary: "five daemons leak three fds a second, each of its own kind",
            play: leaks,
            resolves: true,
        },
        Act { summary: "hungry-agent reaches its limit of 256 fds", play: exhaust, resolves: true },
    ],
};

/// Many fds that do not grow in number; they are held while the leaks are played.
pub const FLAT: Quiet =
    Quiet { summary: "a database that holds 2,000 files", signal: "fd", play: flat };

/// Fds that come and go, likewise.
pub const SAW: Quiet = Quiet {
    summary: "a server with 270 fds that opens as many more and closes them, every 3 s",
    signal: "fd",
    play: saw,
};

/// Looks at all processes that prove that the agent has seen one.
const ROUNDS: u64 = 3;

/// What a leak is called.
struct Leak {
    workload: &'static str,
    kind: &'static str,
    /// Files that it holds besides, and what it may have.
    base: u64,
    limit: u64,
}

/// A limit that three fds a second reach in three days: the most that fs.nr_open allows.
const FAR: u64 = 1_048_576;

/// The first has a limit that its leak reaches within minutes.
const LEAKS: [Leak; 5] = [
    Leak { limit: 1_024, ..slow("eventfd", "eventfd") },
    slow("inotify", "inotify"),
    slow("pidfd", "pidfd"),
    slow("bpf-map", "bpf-map"),
    slow("close-wait", "tcp CLOSE-WAIT"),
];

const fn slow(workload: &'static str, kind: &'static str) -> Leak {
    Leak { workload, kind, base: 260, limit: FAR }
}

fn leaks(_: &Stage) -> Result<Played> {
    let mut since: Option<Moment> = None;
    let (mut expected, mut props) = (Vec::new(), Vec::new());
    for leak in &LEAKS {
        let limit = attainable_fds(leak.limit);
        let severity = if limit == FAR { Severity::Warning } else { Severity::Critical };
        let (base, nofile) = (leak.base.to_string(), limit.to_string());
        // Fewer than fs.inotify.max_user_instances, which is 128.
        let args = ["fd-leak", "--kind", leak.workload, "--count", "100", "--pause-ms", "330"];
        let more = ["--base", &base, "--nofile", &nofile];
        let mut leaky = Actor::start("leaky-agent", args.iter().chain(&more))?;
        let at = leaky.first_bad_act()?;
        since = Some(since.unwrap_or(at));
        expected.push(
            Expectation::firing("fd-leak")
                .severity(severity)
                .is("/subject/process/pid", leaky.pid())
                .is("/subject/process/comm", "leaky-agent")
                // Whichever it is: it is known.
                .ends_with("/subject/cgroup/path", "")
                .is("/evidence/limit", limit)
                .at_least("/evidence/seconds_to_80_percent", 1)
                .is("/evidence/kinds/0/kind", leak.kind)
                .at_least("/evidence/kinds/0/growth_per_hour", 3_600),
        );
        props.push(Box::new(leaky) as _);
    }
    Ok(Played { since: since.unwrap_or_else(Moment::now), expected, props })
}

fn exhaust(_: &Stage) -> Result<Played> {
    let args = ["fd-leak", "--kind", "eventfd", "--count", "1000", "--nofile", "256"];
    let mut hungry = Actor::start("hungry-agent", args)?;
    let since = hungry.first_bad_act()?;
    hungry.done()?;
    let expected = Expectation::firing("fd-exhausted")
        .severity(Severity::Critical)
        .is("/subject/process/pid", hungry.pid())
        .is("/subject/process/comm", "hungry-agent")
        .is("/evidence/open", 256)
        .is("/evidence/limit", 256)
        .is("/evidence/inferred", true)
        .is("/evidence/kinds/0/kind", "eventfd");
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(hungry)] })
}

fn flat(_: &Stage) -> Result<Silence> {
    let mut database = Actor::start("database", ["fd-hold", "--count", "2000"])?;
    database.done()?;
    Ok(Silence { events: ROUNDS, props: vec![Box::new(database)] })
}

fn saw(_: &Stage) -> Result<Silence> {
    let mut server = Actor::start("busy-server", ["fd-saw", "--base", "270"])?;
    server.done()?;
    Ok(Silence { events: ROUNDS, props: vec![Box::new(server)] })
}
