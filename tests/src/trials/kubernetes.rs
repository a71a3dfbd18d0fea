//! The agent as the DaemonSet runs it, and the three disasters inside other pods: containers of a real
//! runtime, each with what its manifest allows it. The files that the kubelet makes are made here.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::agent::{Agent, Output};
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::container::{Allowed, Container};
use crate::props::veth::Veth;
use crate::session::Setup;
use crate::trial::Trial;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "kubernetes",
    summary: "the agent is a container of the DaemonSet, and other pods fork, flap and leak",
    expected: "findings that name pod, namespace and container, with no more rights than the manifest gives",
    own_guest: true,
    play,
};

/// The configuration of deploy/kustomize/base.
const CONFIG: &str = include_str!("../../../deploy/kustomize/base/nodeprobe.toml");
/// Tasks that a pod may have, where the kubelet limits them.
const PIDS: u32 = 10;
const ROOM: u32 = 1_000;

fn play(setup: &Setup) -> Result<String> {
    let own = std::env::current_exe().context("cannot tell this program's path")?;
    let stage = &setup.stage;
    let daemon = Container::create("nodeprobe", "nodeprobe-t7c2k", &Allowed::of_daemonset()?)?;
    daemon.install(&setup.nodeprobe, "nodeprobe")?;
    let mut command = Command::new(&own);
    command.arg("workload").args(daemon.arguments("nodeprobe"));
    let agent = Agent::launch(command, Output::Pipe, CONFIG, &setup.agent_args, &stage.reporter)?;

    let pod = |namespace, name, comm, allowed: &Allowed| -> Result<Container> {
        let container = Container::create(namespace, name, allowed)?;
        container.install(Path::new(&own), comm)?;
        Ok(container)
    };
    let start = |container: &Container, comm: &str, args: &[&str]| {
        let words = ["workload"].iter().chain(args).map(Into::into);
        Actor::start("runc", container.arguments(comm).into_iter().chain(words))
    };

    stage.reporter.progress("a pod is at its limit of tasks");
    let full = pod("shop", "checkout-5d4f8c7b9-x7k2p", "checkout", &Allowed::usual(PIDS))?;
    let mut checkout =
        start(&full, "checkout", &["fork-fail", "--failures", "12", "--stop", "cgroup"])?;
    checkout.done()?;
    let refused = Expectation::firing("fork-failures")
        .is("/subject/process/comm", "checkout")
        .is("/evidence/cause/kind", "pids_max")
        .is("/evidence/cause/limit", PIDS);
    agent.expect(&full.is_subject(refused))?;

    stage.reporter.progress("a pod leaks netlink sockets");
    let leaking = pod("kube-system", "node-agent-9hq4d", "node-agent", &Allowed::usual(ROOM))?;
    let mut leaks = start(&leaking, "node-agent", &["netlink-leak", "--count", "600"])?;
    leaks.first_bad_act()?;
    let leak = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/comm", "node-agent")
        .is("/subject/netns_owner/pod/name", "node-agent-9hq4d");
    agent.expect(&leaking.is_subject(leak))?;

    stage.reporter.progress("a pod of the CNI writes the same filters again and again");
    let veth = Veth::create()?;
    let cni = pod("kube-system", "calico-node-b4wz9", "calico-node", &Allowed::of_cni())?;
    let netns = veth.netns.path().display().to_string();
    let mut args = vec!["tc-toggle", "--netns", &netns, "--dev", &veth.name];
    let object = stage.classifier.as_ref().map(|object| object.display().to_string());
    args.extend(object.iter().flat_map(|object| ["--classifier", object]));
    let mut flaps = start(&cni, "calico-node", &args)?;
    flaps.first_bad_act()?;
    agent.expect(&cni.is_subject(veth.about("tc-handle-toggle", "calico-node")))?;

    drop((checkout, leaks, flaps));
    let findings = agent.stop()?.len();
    Ok(format!("pods, namespaces and containers are named in {findings} lines"))
}
