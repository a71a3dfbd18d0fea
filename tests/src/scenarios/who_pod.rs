//! Who it is: the pod, the container and the owner of the network namespace are told by what the
//! node itself has, and a cgroup may be called anything.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::props::pod::{Pod, Told};
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage};
use crate::scenarios::fork_pids_max::fork_fail;

/// Room for what a pod runs.
const PIDS_MAX: u32 = 10;
/// More than anything here fills.
const ROOM: u32 = 1_000;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "who-pod",
    summary: "pods with the cgroups and files of a kubelet misbehave, one in the namespace of another",
    expected: "findings that name pod, container and the owner of the network namespace",
    config: "[enrich]\nhost_root = \"/run/nodeprobe-who-pod\"\n",
    prelude: None,
    quiet: &[HEALTHY_POD],
    acts: &[
        Act { summary: "a container cannot fork", play: forks, resolves: false },
        Act { summary: "a container leaks netlink sockets", play: leaks, resolves: false },
        Act { summary: "an agent flaps in the namespace of a pod", play: flaps, resolves: false },
        Act {
            summary: "a cgroup has 255 bytes of anything for a name",
            play: odd,
            resolves: false,
        },
    ],
};

/// A pod that does nothing wrong.
pub const HEALTHY_POD: Quiet = Quiet {
    summary: "a pod holds ten sockets in its own namespace",
    signal: "netlink",
    play: hold,
};

fn hold(_: &Stage) -> Result<Silence> {
    let pod = Pod::create("healthy", PIDS_MAX, Told::ByKubelet)?;
    let args = ["netlink-hold".into(), "--count".into(), "10".into()];
    let mut app = Actor::start("healthy-app", args.into_iter().chain(pod.place()))?;
    let held = app.done()?;
    // And the sandbox one.
    Ok(Silence { events: held + 1, props: vec![Box::new(app), Box::new(pod)] })
}

fn forks(_: &Stage) -> Result<Played> {
    let pod = Pod::create("batch-x7k2p", PIDS_MAX, Told::ByContainerd)?;
    let inside: [OsString; 2] = ["--inside".into(), pod.netns().path().into_os_string()];
    let (mut victim, since) = fork_fail("batch-job", 12, pod.container(), "cgroup", &inside)?;
    victim.done()?;
    let expected = Expectation::firing("fork-failures")
        .severity(Severity::Warning)
        .is("/subject/process/pid", victim.pid())
        .is("/evidence/cause/kind", "pids_max");
    let expected = vec![pod.owns_netns(pod.is_subject(expected))?];
    Ok(Played { since, expected, props: vec![Box::new(victim), Box::new(pod)] })
}

fn leaks(_: &Stage) -> Result<Played> {
    let pod = Pod::create("leaky-0", PIDS_MAX, Told::ByKubelet)?;
    let args = ["netlink-leak".into(), "--count".into(), "600".into()];
    let mut leaky = Actor::start("leaky-agent", args.into_iter().chain(pod.place()))?;
    let since = leaky.first_bad_act()?;
    let expected = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", leaky.pid())
        // Whatever they are: they are known.
        .ends_with("/subject/process/cmdline", "")
        .ends_with("/subject/process/started", "Z")
        .is("/subject/process/parent/pid", std::process::id());
    let expected = vec![pod.owns_netns(pod.is_subject(expected))?];
    Ok(Played { since, expected, props: vec![Box::new(leaky), Box::new(pod)] })
}

/// The agent's own process is in the namespace too, but its sandbox was there before.
fn flaps(stage: &Stage) -> Result<Played> {
    let agent = Pod::create("calico-node-b4wz9", ROOM, Told::ByContainerd)?;
    let victim = Pod::create("web-0", ROOM, Told::ByContainerd)?;
    let netns = victim.netns();
    netns.add_link("eth0", "veth peer name cali0")?;
    let (cgroup, path) = (agent.container().path().as_os_str(), netns.path());
    let mut args: Vec<&OsStr> = ["tc-toggle", "--dev", "eth0", "--cgroup"].map(OsStr::new).to_vec();
    args.extend([cgroup, "--netns".as_ref(), path.as_os_str()]);
    if let Some(object) = &stage.classifier {
        args.extend(["--classifier".as_ref(), object.as_os_str()]);
    }
    let mut calico = Actor::start("calico-node", args)?;
    let since = calico.first_bad_act()?;
    let about = |rule| {
        let expected = Expectation::firing(rule)
            .is("/subject/process/comm", "tc")
            .is("/subject/process/parent/pid", calico.pid())
            .is("/subject/process/parent/comm", "calico-node")
            .is("/subject/process/grandparent/pid", std::process::id());
        victim.owns_netns(agent.is_subject(expected))
    };
    let expected =
        vec![about("tc-handle-toggle")?.severity(Severity::Critical), about("tc-rewrite-rate")?];
    Ok(Played { since, expected, props: vec![Box::new(calico), Box::new(victim), Box::new(agent)] })
}

/// The kernel takes every byte in a cgroup's name but NUL, slash and newline.
fn odd(_: &Stage) -> Result<Played> {
    let mut name = b"pod\xff\xfe \x1b[31m:\\040\t..".to_vec();
    name.resize(255, 0xc3);
    let above = PidsCgroup::create(PIDS_MAX)?;
    let cgroup = above.child(OsStr::from_bytes(&name))?;
    let (mut victim, since) = fork_fail("batch-job", 12, &cgroup, "cgroup", &[])?;
    victim.done()?;
    let expected = Expectation::firing("fork-failures")
        .ends_with("/subject/cgroup/path", format!("/{}/{}", above.name(), cgroup.name()));
    let props: Vec<Box<dyn Any>> = vec![Box::new(victim), Box::new(cgroup), Box::new(above)];
    Ok(Played { since, expected: vec![expected], props })
}
