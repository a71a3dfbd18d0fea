//! Both backends of iptables write one table: as two agents do that do not agree, as one that switched, and
//! as Felix did when nothing could fork.

use std::any::Any;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::exec;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::lack::Lack;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::props::netns::Netns;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage, Unseen};

const RULE: &str = "-A INPUT -s 192.0.2.7 -j ACCEPT";
/// Rules as the programs save them.
const SAVED: &str = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
                     -A INPUT -s 192.0.2.7/32 -j ACCEPT\nCOMMIT\n";
/// Rounds of an agent that writes all its rules again and again.
const ROUNDS: u64 = 10;
/// Room for Felix and a few children.
const PIDS_MAX: u32 = 8;

/// Where no write is seen: it takes kprobes.
const UNSEEN: Unseen = Unseen {
    signal: "firewall",
    hook: "nft",
    rung: "none",
    why: "the functions are in kernel modules, which only kprobes reach",
};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "firewall-backends",
    summary: "legacy iptables and iptables-nft both have rules in the filter table of a network namespace",
    expected: "firewall-two-backends; critical when one agent switched, or chose while it could not fork",
    config: "",
    prelude: None,
    quiet: &[READERS, NATIVE, LOOPS],
    acts: &[
        Act {
            summary: "kube-proxy writes by nft, calico-node by legacy",
            play: two_agents,
            resolves: false,
        },
        Act {
            summary: "calico-node writes by nft, then by legacy",
            play: switched,
            resolves: false,
        },
        Act {
            summary: "kube-proxy writes by nft; calico-node cannot fork, counts 0 rules of each backend and \
                      chooses legacy",
            play: split_brain,
            resolves: false,
        },
    ],
};

/// What agents and operators do to look at rules.
pub const READERS: Quiet = Quiet {
    summary: "rules of nft beside a legacy table that reading made, and nothing but reading",
    signal: "firewall",
    play: readers,
};

/// Tables that are somebody's own.
pub const NATIVE: Quiet = Quiet {
    summary: "a table of nftables' own beside rules of legacy iptables",
    signal: "firewall",
    play: native,
};

/// One backend in each namespace and family, as meshes and node agents have it.
pub const LOOPS: Quiet = Quiet {
    summary: "loops of iptables-restore, one backend a namespace and family",
    signal: "firewall",
    play: loops,
};

fn two_agents(_: &Stage) -> Result<Played> {
    let netns = namespace()?;
    let mut proxy = writer("kube-proxy", &netns, &["nft"])?;
    proxy.done()?;
    let mut calico = writer("calico-node", &netns, &["legacy"])?;
    let since = calico.first_bad_act()?;
    let expected = about(&netns)?
        .severity(Severity::Warning)
        .is("/evidence/legacy/rules", 1)
        .is("/evidence/nft/rules", 1)
        .is("/evidence/nft/writers/0/name", "kube-proxy")
        .is("/evidence/nft/writers/0/through", "iptables-nft")
        .is("/evidence/nft/writers/0/pid", proxy.pid())
        .without("/evidence/switched")
        .without("/evidence/fork_refused_seconds_before");
    let expected = vec![expected];
    Ok(Played { since, expected, props: vec![Box::new(calico), Box::new(proxy), Box::new(netns)] })
}

fn switched(_: &Stage) -> Result<Played> {
    let netns = namespace()?;
    let mut calico = writer("calico-node", &netns, &["nft", "legacy"])?;
    let since = calico.first_bad_act()?;
    let expected = about(&netns)?
        .severity(Severity::Critical)
        .is("/evidence/switched", "calico-node")
        .is("/evidence/nft/writers/0/name", "calico-node");
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(calico), Box::new(netns)] })
}

fn split_brain(_: &Stage) -> Result<Played> {
    let netns = namespace()?;
    let mut proxy = writer("kube-proxy", &netns, &["nft"])?;
    proxy.done()?;
    let pods = PidsCgroup::create(PIDS_MAX)?;
    let pod = pods.child("calico")?;
    let args: [OsString; 5] = [
        "firewall-choose".into(),
        "--cgroup".into(),
        pod.path().into(),
        "--inside".into(),
        netns.path().into(),
    ];
    let mut calico = Actor::start("calico-node", args)?;
    let since = calico.first_bad_act()?;
    let refused = Expectation::firing("fork-failures")
        .severity(Severity::Critical)
        .is("/subject/process/comm", "calico-node")
        .ends_with("/subject/cgroup/path", format!("/{}/calico", pods.name()));
    let split = about(&netns)?
        .severity(Severity::Critical)
        .at_least("/evidence/fork_refused_seconds_before", 0)
        .begins_with("/incident/line", "pids.max of ")
        .ends_with("/incident/line", "calico-node cannot fork -> two backends rule ip filter");
    let props: Vec<Box<dyn Any>> =
        vec![Box::new(calico), Box::new(proxy), Box::new(pod), Box::new(pods), Box::new(netns)];
    Ok(Played { since, expected: vec![refused, split], props })
}

fn readers(_: &Stage) -> Result<Silence> {
    let netns = namespace()?;
    netns.inside(|| {
        exec::run_words("iptables-nft", RULE)?;
        for reader in ["iptables-legacy-save", "iptables-nft-save"] {
            exec::run_words(reader, "-t filter")?;
        }
        for reader in ["iptables-legacy", "iptables-nft"] {
            exec::run_words(reader, "-n -L INPUT")?;
        }
        Ok(())
    })?;
    Ok(Silence { events: 1, props: vec![Box::new(netns)] })
}

fn native(_: &Stage) -> Result<Silence> {
    let netns = namespace()?;
    netns.inside(|| {
        exec::run_words("iptables-legacy", RULE)?;
        exec::run_words("nft", "add table ip calico")?;
        exec::run_words("nft", "add chain ip calico from-pods")?;
        exec::run_words("nft", "add rule ip calico from-pods accept").map(drop)
    })?;
    Ok(Silence { events: 4, props: vec![Box::new(netns)] })
}

fn loops(_: &Stage) -> Result<Silence> {
    let (legacy, nft) = (namespace()?, namespace()?);
    legacy.inside(|| (0..ROUNDS).try_for_each(|_| restore("iptables-legacy-restore")))?;
    legacy.inside(|| exec::run_words("ip6tables-nft", "-A INPUT -s 2001:db8::7 -j ACCEPT"))?;
    nft.inside(|| (0..ROUNDS).try_for_each(|_| restore("iptables-nft-restore")))?;
    Ok(Silence { events: 2 * ROUNDS + 1, props: vec![Box::new(legacy), Box::new(nft)] })
}

/// Writes a whole table.
fn restore(program: &str) -> Result<()> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    child.stdin.take().context("no input")?.write_all(SAVED.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

/// A network namespace, on a machine whose kernel has both backends. Its number stays taken after it: kernels
/// before 5.12 have nothing else to tell its tables from those of the next.
fn namespace() -> Result<Netns> {
    static NUMBERS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    if let Some(lack) = Lack::module("ip_tables") {
        return Err(lack.into());
    }
    let netns = Netns::create()?;
    NUMBERS.lock().unwrap_or_else(PoisonError::into_inner).push(File::open(netns.path())?);
    Ok(netns)
}

fn writer(comm: &str, netns: &Netns, by: &[&str]) -> Result<Actor> {
    let by = by.iter().flat_map(|by| ["--by".into(), OsString::from(by)]);
    let place: [OsString; 3] = ["firewall-write".into(), "--inside".into(), netns.path().into()];
    Actor::start(comm, place.into_iter().chain(by))
}

fn about(netns: &Netns) -> Result<Expectation> {
    Ok(Expectation::firing("firewall-two-backends")
        .unless_unseen(&UNSEEN)
        .is("/subject/netns", netns.inum()?)
        .is("/evidence/table", "filter")
        .is("/evidence/family", "ip")
        .at_least("/evidence/legacy/rules", 1)
        .is("/evidence/legacy/writers/0/name", "calico-node")
        .is("/evidence/legacy/writers/0/through", "iptables-legacy"))
}
