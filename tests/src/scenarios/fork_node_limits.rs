//! The limits of the whole node: whoever forks is refused. Played in guests only.

use anyhow::{Context, Result};

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::lack::Lack;
use crate::props::cgroup::PidsCgroup;
use crate::props::sysctl::Sysctl;
use crate::scenario::{Act, Played, Scenario, Stage};
use crate::scenarios::fork_pids_max::{FORK_STORM, fork_fail};

/// More than anything here fills.
const ROOM: u32 = 2_000;
const FAILURES: u32 = 8;
/// Tasks that may still be born when a limit is set: enough for the limit not to be reached at once.
const LEFT: u64 = 60;
/// Pids that are not given out twice, `RESERVED_PIDS` in include/linux/threads.h.
const RESERVED_PIDS: u64 = 300;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "fork-node-limits",
    summary: "one process uses up kernel.threads-max, another one kernel.pid_max",
    expected: "fork-failures with that cause, and the cgroup that has the most threads",
    config: "[fork]\npoll = \"1s\"\n",
    prelude: None,
    quiet: &[FORK_STORM],
    acts: &[
        Act { summary: "the node reaches threads-max", play: threads_max, resolves: false },
        Act { summary: "the node reaches pid_max", play: pid_max, resolves: false },
    ],
};

fn threads_max(_: &Stage) -> Result<Played> {
    Lack::own_machine()?;
    let mut played = refused(Sysctl::set("kernel/threads-max", tasks()? + LEFT)?, "threads_max")?;
    played.expected.push(
        Expectation::firing("fork-headroom")
            .severity(Severity::Critical)
            .is("/evidence/kind", "threads_max"),
    );
    Ok(played)
}

fn pid_max(_: &Stage) -> Result<Played> {
    Lack::own_machine()?;
    refused(Sysctl::set("kernel/pid_max", RESERVED_PIDS + LEFT)?, "pid_max")
}

/// Fills what is left until forks are refused.
fn refused(limit: Sysctl, cause: &str) -> Result<Played> {
    let cgroup = PidsCgroup::create(ROOM)?;
    let (mut victim, since) = fork_fail("batch-job", FAILURES, &cgroup, "node", &[])?;
    victim.done()?;
    let path = format!("/{}", cgroup.name());
    let expected = vec![
        Expectation::firing("fork-failures")
            .ends_with("/subject/cgroup/path", path.clone())
            .is("/evidence/errno", "EAGAIN")
            .is("/evidence/cause/kind", cause)
            .ends_with("/subject/consumers/groups/0/path", path)
            .at_least("/subject/consumers/groups/0/threads", LEFT / 2),
    ];
    Ok(Played { since, expected, props: vec![Box::new(victim), Box::new(cgroup), Box::new(limit)] })
}

/// Tasks on this node: behind the slash of the fourth field (proc_loadavg(5)).
fn tasks() -> Result<u64> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let tasks = load.split_ascii_whitespace().nth(3).and_then(|field| field.split_once('/'));
    let (_, tasks) = tasks.with_context(|| format!("{load:?} is no load average"))?;
    Ok(tasks.parse()?)
}
