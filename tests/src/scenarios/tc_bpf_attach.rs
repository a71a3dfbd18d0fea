//! Programs attached past tc: TCX as Cilium and Calico from 3.31 on use it, netkit, XDP. The same
//! incidents as with filters, and the copies a restart leaves behind (cilium/cilium#44194).

use std::any::Any;

use anyhow::Result;

use crate::bpf::Point;
use crate::clock::Moment;
use crate::expect::Expectation;
use crate::props::actor::Actor;
use crate::props::netns::Netns;
use crate::props::unique;
use crate::scenario::{Act, Played, Props, Quiet, Scenario, Silence, Stage, Unseen};
use crate::tc::Interface;

/// Enough to be critical.
const STORM: u64 = 14;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-bpf-attach",
    summary: "agents attach programs by TCX, netkit and XDP without end, in vain, twice, or detach others'",
    expected: "tc-rewrite-rate, tc-attach-failing, tc-foreign-removal and tc-duplicate-program, with \
               program, attach point and agent; TCX and netkit only on kernels that have them",
    config: "[tc]\nduplicate_after = \"1s\"\nhold = \"3s\"\n",
    prelude: None,
    quiet: &[ATTACH_ONCE],
    acts: &[
        Act { summary: "cilium-agent attaches by XDP without end", play: xdp, resolves: false },
        Act { summary: "cilium-agent attaches by TCX without end", play: tcx, resolves: false },
        Act {
            summary: "cilium-agent attaches to netkit without end",
            play: netkit,
            resolves: false,
        },
        Act { summary: "calico-node attaches what is attached", play: failing, resolves: false },
        Act { summary: "tracee detaches cilium-agent's program", play: foreign, resolves: false },
        Act { summary: "a restart leaves a second copy", play: duplicates, resolves: true },
    ],
};

/// Each program once, and gone with its agent.
pub const ATTACH_ONCE: Quiet =
    Quiet { summary: "programs are attached once", signal: "tc", play: attach_once };

static TCX_UNSEEN: Unseen = Unseen {
    signal: "tc",
    hook: "requests",
    rung: "tracepoint",
    why: "no tracepoint tells of programs attached past tc",
};

/// An interface in a namespace of its own.
struct Link {
    netns: Netns,
    name: String,
}

impl Link {
    fn create(kind: &str) -> Result<Self> {
        let (netns, name) = (Netns::create()?, unique("lxc"));
        // Its peer gets the kernel's default name: not every iproute2 knows netkit's own words.
        netns.add_link(&name, kind)?;
        Ok(Self { netns, name })
    }

    /// Starts an agent that does `act` so many times at `point`, and waits until it has.
    fn agent(&self, comm: &str, point: &str, act: &str, count: u64) -> Result<(Actor, Moment)> {
        let count = count.to_string();
        let mut args =
            vec!["bpf-agent".into(), "--netns".into(), self.netns.path().into_os_string()];
        let words = ["--dev", &self.name, "--point", point, "--act", act, "--count", &count];
        args.extend(words.map(Into::into));
        args.extend(["--program", "from_container"].map(Into::into));
        let mut agent = Actor::start(comm, args)?;
        let since = agent.first_bad_act()?;
        agent.done()?;
        Ok((agent, since))
    }

    fn about(&self, rule: &'static str, culprit: &str, point: &str) -> Expectation {
        Expectation::firing(rule)
            .unless_unseen(&TCX_UNSEEN)
            .is("/subject/interface/name", self.name.clone())
            .is("/subject/process/comm", culprit)
            .is("/evidence/parent", point)
            .is("/evidence/program/name", "from_container")
    }

    fn storm(&self, agent: &str, parent: &str) -> Expectation {
        self.about("tc-rewrite-rate", agent, parent)
            .is("/severity", "critical")
            .at_least("/evidence/writes", 12)
    }
}

fn xdp(_: &Stage) -> Result<Played> {
    let link = Link::create("veth")?;
    let (agent, since) = link.agent("cilium-agent", "xdp", "relink", STORM)?;
    // The detach before each attach names no program.
    Ok(played(since, vec![link.storm("cilium-agent", "xdp")], vec![agent], link))
}

fn tcx(_: &Stage) -> Result<Played> {
    Point::TcxIngress.there()?;
    let link = Link::create("veth")?;
    let (linking, since) = link.agent("cilium-agent", "tcx-ingress", "relink", STORM)?;
    let (swapping, _) = link.agent("calico-node", "tcx-egress", "swap", STORM)?;
    let expected =
        vec![link.storm("cilium-agent", "tcx ingress"), link.storm("calico-node", "tcx egress")];
    Ok(played(since, expected, vec![linking, swapping], link))
}

fn netkit(_: &Stage) -> Result<Played> {
    Point::NetkitPrimary.there()?;
    let link = Link::create("netkit")?;
    let (agent, since) = link.agent("cilium-agent", "netkit-primary", "relink", STORM)?;
    Ok(played(since, vec![link.storm("cilium-agent", "netkit primary")], vec![agent], link))
}

fn failing(_: &Stage) -> Result<Played> {
    Point::TcxIngress.there()?;
    let link = Link::create("veth")?;
    let (first, _) = link.agent("calico-node", "tcx-ingress", "attach", 1)?;
    let (second, since) = link.agent("calico-node", "tcx-ingress", "fail-to-attach", 12)?;
    let expected = link
        .about("tc-attach-failing", "calico-node", "tcx ingress")
        .at_least("/evidence/failures", 10)
        .is("/evidence/errno", "EEXIST");
    Ok(played(since, vec![expected], vec![first, second], link))
}

fn foreign(_: &Stage) -> Result<Played> {
    Point::TcxIngress.there()?;
    let link = Link::create("veth")?;
    let (victim, _) = link.agent("cilium-agent", "tcx-ingress", "attach", 1)?;
    let (culprit, since) = link.agent("tracee", "tcx-ingress", "detach-first", 1)?;
    let expected = link
        .about("tc-foreign-removal", "tracee", "tcx ingress")
        .is("/evidence/removed", "program")
        .is("/evidence/victim/comm", "cilium-agent")
        .is("/evidence/victim/pid", victim.pid());
    Ok(played(since, vec![expected], vec![victim, culprit], link))
}

fn duplicates(_: &Stage) -> Result<Played> {
    Point::TcxIngress.there()?;
    let link = Link::create("veth")?;
    let (before, _) = link.agent("cilium-agent", "tcx-ingress", "link", 1)?;
    let (after, since) = link.agent("cilium-agent", "tcx-ingress", "link", 1)?;
    let expected = link
        .about("tc-duplicate-program", "cilium-agent", "tcx ingress")
        .is("/evidence/copies", 2)
        .at_least("/evidence/attached/1/link_id", 1);
    Ok(played(since, vec![expected], vec![before, after], link))
}

fn attach_once(_: &Stage) -> Result<Silence> {
    let link = Link::create("veth")?;
    link.agent("cilium-agent", "xdp", "relink", 1)?;
    if Point::TcxIngress.lack()?.is_none() {
        for point in ["tcx-ingress", "tcx-egress"] {
            link.agent("cilium-agent", point, "relink", 1)?;
            link.agent("cilium-agent", point, "attach", 1)?;
            link.agent("cilium-agent", point, "detach-first", 1)?;
        }
    }
    // Events come in order, and this one is seen on every rung.
    link.netns.inside(|| Interface::new(&link.name, None).attach_clsact())?;
    Ok(Silence { events: 1, props: Vec::new() })
}

fn played(since: Moment, expected: Vec<Expectation>, agents: Vec<Actor>, link: Link) -> Played {
    let agents = agents.into_iter().map(|agent| Box::new(agent) as Box<dyn Any>);
    let props: Props = agents.chain([Box::new(link) as Box<dyn Any>]).collect();
    Played { since, expected, props }
}
