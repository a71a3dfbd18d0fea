//! A small incident of each sort, and what the agent could tell of it.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rustix::thread::CapabilitySet;

use crate::HANG_GUARD;
use crate::agent::Agent;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::interrupt;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::props::leaker;
use crate::props::veth::Veth;
use crate::scenarios::fork_pids_max::fork_fail;
use crate::session::Setup;

const FORK: &str = "a cgroup in which clones are refused";
const PATH: &str = "the path of that cgroup";
const EXE: &str = "the executable of a process";
const LEAK: &str = "a process that leaks netlink sockets";
const BIRTHPLACE: &str = "the function that opens them";
const GONE: &str = "that function, of a program whose file is gone";
const BEFORE: &str = "netlink sockets that were open before the agent";
const FDS: &str = "another user's process that is out of fds";
const FILTERS: &str = "filters that were there before, in another network namespace";

/// All that can be told.
pub const TOLD: [&str; 9] = [FORK, PATH, EXE, LEAK, BIRTHPLACE, GONE, BEFORE, FDS, FILTERS];

/// All that may be left once the agent runs.
pub const KEPT: [&str; 6] = [
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_DAC_READ_SEARCH",
    "CAP_PERFMON",
    "CAP_SYS_ADMIN",
    "CAP_SYS_PTRACE",
];

/// A user with no rights.
const NOBODY: u32 = 65_534;
/// Rounds through all fds after which what was not told is not known.
const ROUNDS: u64 = 4;
const LEAKED: &str = "600";

/// What is there before any agent.
pub struct Incidents {
    _steady: Actor,
    _filters: Actor,
    _veth: Veth,
}

impl Incidents {
    /// Puts it there.
    pub fn prepare(setup: &Setup) -> Result<Self> {
        let mut steady = Actor::start("steady-agent", ["netlink-hold", "--count", "20"])?;
        steady.done()?;
        let veth = Veth::create()?;
        let mut filters = veth.agent(&setup.stage, "cni-agent", "attach", 1)?;
        filters.done()?;
        Ok(Self { _steady: steady, _filters: filters, _veth: veth })
    }

    /// Plays the others, and returns what the agent tells of all.
    pub fn told(&self, setup: &Setup, agent: &Agent) -> Result<BTreeSet<String>> {
        let mut told = BTreeSet::new();
        let mut tell = |what: &str, known: bool| {
            if known {
                told.insert(what.to_owned());
            }
        };
        let args = ["fd-leak", "--kind", "eventfd", "--count", "1000", "--nofile", "256"];
        let mut hungry = Actor::start_as(Some(NOBODY), "hungry-agent", args)?;
        hungry.done()?;
        let since = agent.events("fd")?;
        if agent.hooks("fork")? {
            let cgroup = PidsCgroup::create(8)?;
            setup.stage.reporter.progress("clones are refused");
            let (mut victim, _) = fork_fail("batch-job", 12, &cgroup, "cgroup", &[])?;
            victim.done()?;
            let finding = agent.expect(&Expectation::firing("fork-failures"))?.finding;
            let subject = &finding.fields.subject;
            let path = subject.cgroup.as_ref().and_then(|cgroup| cgroup.path.as_deref());
            tell(FORK, true);
            tell(PATH, path.is_some_and(|path| path.ends_with(cgroup.name())));
            tell(EXE, subject.process.as_ref().is_some_and(|process| process.exe.is_some()));
            drop(victim);
        }
        if agent.hooks("netlink")? {
            setup.stage.reporter.progress("sockets leak");
            tell(BIRTHPLACE, names_function(agent, &[])?);
            tell(GONE, names_function(agent, &["--gone"])?);
            tell(LEAK, true);
        }
        let deadline = Instant::now() + HANG_GUARD;
        while agent.events("fd")? < since + ROUNDS {
            interrupt::check()?;
            ensure!(Instant::now() < deadline, "the fds are not polled");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let seeded = |signal| agent.metric("nodeprobe_seeded_total", &[("signal", signal)]);
        tell(BEFORE, seeded("netlink")? > 0);
        tell(FILTERS, seeded("tc")? > 0);
        let out = Expectation::firing("fd-exhausted").is("/subject/process/pid", hungry.pid());
        tell(FDS, agent.findings().iter().any(|finding| out.met_by(finding)));
        Ok(told)
    }
}

/// Lets a C program leak, started in some way; whether its finding names the function that does.
fn names_function(agent: &Agent, how: &[&str]) -> Result<bool> {
    let program = leaker::program("leaky-c")?.into_os_string();
    let args = ["leaker", "--count", LEAKED].iter().chain(how).map(|arg| (*arg).into());
    let leaky = Actor::start_as(Some(NOBODY), "leaky-c", args.chain([program]))?;
    let leak = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", leaky.pid());
    let finding = agent.expect(&leak)?.finding;
    let frame = finding.raw().pointer("/evidence/birthplaces/0/frames/0");
    let frame = frame.and_then(|frame| frame.as_str());
    Ok(frame.is_some_and(|frame| frame.starts_with("find_host_mtu")))
}

/// Names of the capabilities that the threads of a process have, may take back, or may get by execve(2).
pub fn kept(pid: u32) -> Result<Vec<String>> {
    let tasks = format!("/proc/{pid}/task");
    let mut kept = CapabilitySet::empty();
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot list {tasks}"))? {
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        let sets = ["CapEff:", "CapPrm:", "CapInh:", "CapBnd:"];
        for line in status.lines() {
            let hex = sets.iter().find_map(|set| line.strip_prefix(set));
            let bits = hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
            kept |= CapabilitySet::from_bits_retain(bits.unwrap_or(0));
        }
    }
    let mut names: Vec<_> = kept.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.sort();
    Ok(names)
}
