//! The agent on a node that has nothing left: no tasks, no files, no memory, no disk. It must go on
//! finding, say what it cannot know or write, and be whole again when there is room.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::HANG_GUARD;
use crate::agent::{Agent, Output};
use crate::expect::Expectation;
use crate::finding::{Finding, Severity};
use crate::interrupt;
use crate::props::actor::Actor;
use crate::props::cell::{Cell, FdLimit};
use crate::props::cgroup::PidsCgroup;
use crate::props::disk::Disk;
use crate::props::sysctl::Sysctl;
use crate::props::veth::Veth;
use crate::scenarios::fork_pids_max::fork_fail;
use crate::session::Setup;
use crate::trial::Trial;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "dying-node",
    summary: "no task, no file, no memory and no disk is left for the agent, and then incidents come",
    expected: "it starts nothing, finds all of them, names nothing wrong, says what it could not do, and \
               writes each finding once when there is room",
    own_guest: true,
    play,
};

const CONFIG: &str =
    "[netlink]\nbucket = \"1s\"\nbuckets = 20\n[fd]\npoll = \"1s\"\n[fork]\npoll = \"1s\"\n";

/// What the agent may take of memory while the node is dying: a fraction of what it has at the start.
const SLACK: u64 = 8 * 1024 * 1024;
/// Room for a victim and two children.
const PIDS_MAX: u32 = 3;
const FAILURES: u32 = 6;
/// Cgroups that hit their limits while nothing can be written: more findings than fit into the last
/// page of the file.
const STORM: u64 = 24;
/// Files one process holds, and the number that the node may have then.
const FILES: u64 = 3_000;
const FILE_MAX: u64 = 1_000;

fn play(setup: &Setup) -> Result<String> {
    let reporter = &setup.stage.reporter;
    let disk = Disk::create(128)?;
    let mut hog = Actor::start("file-hog", ["fd-hold", "--count", &FILES.to_string()])?;
    hog.done()?;
    let agent = start(setup, &disk)?;
    let well = victim()?;
    agent.expect(&well.named(refused(&well)))?;
    let cell = Cell::around(agent.pid(), SLACK)?;

    reporter.progress("the node has no file left for the agent");
    let (began, file_max) = (Instant::now(), Sysctl::set("fs/file-max", FILE_MAX)?);
    let knocking = knock(&agent)?;
    agent.says("metrics endpoint: Too many open files in system")?;
    agent.says("cgroup_tasks: Too many open files in system")?;
    let _incidents = incidents(setup, &agent)?;
    drop((knocking, file_max));
    agent.says("metrics endpoint: works again")?;
    let failed = agent.metric("nodeprobe_metrics_accept_failures_total", &[])?;
    ensure!(failed <= began.elapsed().as_secs() + 2, "it tried to accept {failed} times");

    reporter.progress("the agent has as many files as it may have, and the disk is full");
    let fd_limit = FdLimit::at_what_it_has(agent.pid())?;
    let cgroup_tasks = ("nodeprobe_poll_failures_total", [("poller", "cgroup_tasks")]);
    let blind = agent.metric(cgroup_tasks.0, &cgroup_tasks.1)?;
    until(&agent, cgroup_tasks.0, &cgroup_tasks.1, blind + 1)?;
    let ballast = disk.fill()?;
    let fired = ("nodeprobe_findings_total", [("rule", "fork-failures")]);
    let before = agent.metric(fired.0, &fired.1)?;
    let victims = (0..STORM).map(|_| victim()).collect::<Result<Vec<_>>>()?;
    until(&agent, fired.0, &fired.1, before + STORM)?;
    let no_space = [("sink", "stdout"), ("reason", "no_space")];
    until(&agent, "nodeprobe_sink_failures_total", &no_space, 1)?;
    agent.says("stdout: No space left on device")?;

    reporter.progress("there is room again");
    drop((ballast, fd_limit));
    let said = agent.says("stdout: works again after")?;
    ensure!(said.ends_with(" findings waited, 0 lost"), "{said}");
    for victim in &victims {
        agent.expect(&refused(victim))?;
    }
    let named = victim()?;
    agent.expect(&named.named(refused(&named)))?;
    let verified = cell.verify()?;
    agent.reconciles()?;
    let findings = agent.stop()?;
    ensure!(findings.iter().all(is_meant), "there is a false alarm among {findings:?}");
    let ids = each_once(&findings)?;
    Ok(format!("{ids} findings in {} lines, each once; {verified}", findings.len()))
}

/// An agent whose findings go to a file, and which a limit on the files of the node binds.
fn start(setup: &Setup, disk: &Disk) -> Result<Agent> {
    let own = std::env::current_exe().context("cannot tell this program's path")?;
    let mut command = Command::new(own);
    command.args(["workload", "unprivileged"]).arg(&setup.nodeprobe);
    let output = Output::File(disk.path().join("findings.jsonl"));
    Agent::launch(command, output, CONFIG, &setup.agent_args, &setup.stage.reporter)
}

/// Connects to the metrics endpoint, and asks nothing.
fn knock(agent: &Agent) -> Result<TcpStream> {
    let url = agent.metrics_url().context("the ready line names no metrics address")?;
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))
}

/// A process that was refused tasks by its cgroup.
struct Victim {
    pid: u32,
    cgroup_id: u64,
    path: String,
    _actor: Actor,
    _cgroup: PidsCgroup,
}

fn victim() -> Result<Victim> {
    interrupt::check()?;
    let cgroup = PidsCgroup::create(PIDS_MAX)?;
    let (mut actor, _) = fork_fail("batch-job", FAILURES, &cgroup, "cgroup", &[])?;
    actor.done()?;
    let cgroup_id = fs::metadata(cgroup.path())?.ino();
    let path = format!("/{}", cgroup.name());
    Ok(Victim { pid: actor.pid(), cgroup_id, path, _actor: actor, _cgroup: cgroup })
}

/// What the kernel side tells of a victim, whatever else can be known.
fn refused(victim: &Victim) -> Expectation {
    Expectation::firing("fork-failures")
        .is("/subject/cgroup/id", victim.cgroup_id)
        .is("/subject/process/pid", victim.pid)
        .is("/subject/process/comm", "batch-job")
        .is("/evidence/errno", "EAGAIN")
        .is("/evidence/cause/kind", "pids_max")
        .is("/evidence/cause/limit", PIDS_MAX)
}

impl Victim {
    /// What is to be had of it from /proc and cgroupfs.
    fn named(&self, expected: Expectation) -> Expectation {
        expected
            .ends_with("/subject/cgroup/path", self.path.clone())
            .ends_with("/subject/consumers/groups/0/path", self.path.clone())
            .is("/subject/consumers/groups/0/threads", PIDS_MAX)
    }
}

/// One of each kind, while nothing can be opened: what must be opened to be known is not guessed.
fn incidents(setup: &Setup, agent: &Agent) -> Result<(Actor, Actor, Veth)> {
    setup.stage.reporter.progress("forks are refused, netlink sockets leak, filters flap");
    let refused_one = victim()?;
    let nameless = refused(&refused_one)
        .without("/subject/cgroup/path")
        .without("/subject/consumers")
        .without("/subject/process/exe");
    agent.expect(&nameless)?;

    let leaky = Actor::start("leaky-agent", ["netlink-leak", "--count", "600"])?;
    let leak = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", leaky.pid())
        .is("/subject/process/comm", "leaky-agent")
        .without("/subject/process/exe")
        .without("/evidence/birthplaces/0/frames")
        .at_least("/evidence/open", 512);
    agent.expect(&leak)?;

    let veth = Veth::create()?;
    let mut calico = veth.actor(&setup.stage, "calico-node", "tc-toggle", &[])?;
    calico.first_bad_act()?;
    let toggle = Expectation::firing("tc-handle-toggle")
        .severity(Severity::Critical)
        .is("/subject/interface/name", veth.name.clone())
        .is("/subject/netns", veth.netns.inum()?)
        .is("/subject/process/comm", "tc")
        .without("/subject/process/exe")
        .without("/subject/netns_owner")
        .at_least("/evidence/toggles", 3);
    agent.expect(&toggle)?;

    let exhausted = Expectation::firing("fd-exhausted")
        .is("/evidence/scope", "node")
        .is("/evidence/limit", FILE_MAX)
        .at_least("/evidence/open", FILES);
    agent.expect(&exhausted)?;
    Ok((leaky, calico, veth))
}

/// Waits until the agent has counted so many.
fn until(agent: &Agent, metric: &str, labels: &[(&str, &str)], least: u64) -> Result<()> {
    let deadline = Instant::now() + HANG_GUARD;
    loop {
        interrupt::check()?;
        let count = agent.metric(metric, labels)?;
        if count >= least {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{metric} is {count}, not {least}, for {labels:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Whether a finding is about something that was done.
fn is_meant(finding: &Finding) -> bool {
    const RULES: [&str; 5] =
        ["fork-failures", "netlink-leak", "tc-handle-toggle", "tc-rewrite-rate", "fd-exhausted"];
    RULES.contains(&finding.fields.rule.as_str())
}

/// Every revision of every finding is there, and none twice; how many findings there are.
fn each_once(findings: &[Finding]) -> Result<usize> {
    let mut revisions = BTreeMap::<&str, BTreeSet<u64>>::new();
    for finding in findings {
        let (id, revision) = (finding.fields.id.as_str(), finding.fields.revision);
        let new = revisions.entry(id).or_default().insert(revision);
        ensure!(new, "revision {revision} of {id} was written twice");
    }
    for (id, revisions) in &revisions {
        let last = revisions.last().copied().unwrap_or(0);
        ensure!(last == revisions.len() as u64, "of {id} there are only {revisions:?}");
    }
    Ok(revisions.len())
}
