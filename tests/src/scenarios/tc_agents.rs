//! Agents that do not get on with each other, or with themselves: attaching where somebody else is
//! (projectcalico/calico#11666), filters that pile up at ever lower priorities, an agent that deletes
//! the whole clsact (aquasecurity/tracee#1828).

use std::any::Any;

use anyhow::Result;

use crate::clock::Moment;
use crate::exec;
use crate::expect::Expectation;
use crate::props::actor::Actor;
use crate::props::netns::Netns;
use crate::props::unique;
use crate::scenario::{Act, Played, Props, Scenario, Stage};
use crate::scenarios::tc_handle_toggle::POD_CHURN;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-agents",
    summary: "agents fail to attach, pile up filters, and delete what others attached",
    expected: "tc-attach-failing, tc-prio-leak and tc-foreign-removal, with both names",
    config: "",
    prelude: None,
    quiet: &[POD_CHURN],
    acts: &[
        Act { summary: "calico-node attaches where a clsact is", play: failing, resolves: false },
        Act { summary: "cni-agent adds filters and deletes none", play: pile_up, resolves: false },
        Act { summary: "tracee deletes calico-node's clsact", play: foreign, resolves: false },
    ],
};

/// A veth in a namespace of its own.
struct Link {
    netns: Netns,
    name: String,
}

impl Link {
    fn create() -> Result<Self> {
        let (netns, name) = (Netns::create()?, unique("cali"));
        let words = format!("-n {} link add {name} type veth peer name eth0", netns.name());
        exec::run_words("ip", &words)?;
        Ok(Self { netns, name })
    }

    fn agent(&self, stage: &Stage, comm: &str, act: &str, count: u64) -> Result<Actor> {
        let mut args =
            vec!["tc-agent".into(), "--netns".into(), self.netns.path().into_os_string()];
        args.extend(
            ["--dev", &self.name, "--act", act, "--count", &count.to_string()].map(Into::into),
        );
        if let Some(object) = &stage.classifier {
            args.extend(["--classifier".into(), object.clone().into_os_string()]);
        }
        Actor::start(comm, args)
    }

    fn about(&self, rule: &'static str, culprit: &str) -> Expectation {
        Expectation::firing(rule)
            .is("/subject/interface/name", self.name.clone())
            .is("/subject/process/comm", "tc")
            .is("/subject/process/parent/comm", culprit)
    }
}

fn failing(stage: &Stage) -> Result<Played> {
    let link = Link::create()?;
    let mut first = link.agent(stage, "calico-node", "attach", 1)?;
    first.done()?;
    let mut second = link.agent(stage, "calico-node", "fail-to-attach", 12)?;
    let expected = link
        .about("tc-attach-failing", "calico-node")
        .at_least("/evidence/failures", 10)
        .is("/evidence/message", "Exclusivity flag on, cannot modify")
        .is("/evidence/parent", "clsact");
    played(second.first_bad_act()?, expected, vec![first, second], link)
}

fn pile_up(stage: &Stage) -> Result<Played> {
    let link = Link::create()?;
    let mut first = link.agent(stage, "cni-agent", "attach", 1)?;
    first.done()?;
    let mut second = link.agent(stage, "cni-agent", "pile-up", 5)?;
    let expected = link
        .about("tc-prio-leak", "cni-agent")
        .at_least("/evidence/filters", 4)
        .is("/evidence/parent", "ingress");
    played(second.first_bad_act()?, expected, vec![first, second], link)
}

fn foreign(stage: &Stage) -> Result<Played> {
    let link = Link::create()?;
    let mut victim = link.agent(stage, "calico-node", "attach", 1)?;
    victim.done()?;
    let mut culprit = link.agent(stage, "tracee", "detach", 1)?;
    let expected = link
        .about("tc-foreign-removal", "tracee")
        .is("/evidence/removed", "qdisc")
        .is("/evidence/victim/comm", "calico-node")
        .is("/evidence/victim/pid", victim.pid());
    played(culprit.first_bad_act()?, expected, vec![victim, culprit], link)
}

fn played(since: Moment, expected: Expectation, agents: Vec<Actor>, link: Link) -> Result<Played> {
    let mut props: Props =
        agents.into_iter().map(|agent| Box::new(agent) as Box<dyn Any>).collect();
    props.push(Box::new(link));
    Ok(Played { since, expected: vec![expected], props })
}
