//! Agents that do not get on with each other, or with themselves: attaching where somebody else is
//! (projectcalico/calico#11666), filters that pile up at ever lower priorities, an agent that deletes
//! the whole clsact (aquasecurity/tracee#1828).

use std::any::Any;

use anyhow::Result;

use crate::clock::Moment;
use crate::expect::Expectation;
use crate::props::actor::Actor;
use crate::props::veth::Veth;
use crate::scenario::{Act, Played, Props, Quiet, Scenario, Silence, Stage};
use crate::scenarios::tc_handle_toggle::POD_CHURN;
use crate::tc::Interface;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-agents",
    summary: "agents fail to attach, pile up filters, delete and overwrite what others attached",
    expected: "tc-attach-failing, tc-prio-leak, tc-foreign-removal and tc-foreign-overwrite, with both \
               names",
    config: "",
    prelude: None,
    quiet: &[POD_CHURN, OWN_PLACE],
    acts: &[
        Act { summary: "calico-node attaches where a clsact is", play: failing, resolves: false },
        Act { summary: "cni-agent adds filters and deletes none", play: pile_up, resolves: false },
        Act { summary: "tracee deletes calico-node's clsact", play: foreign, resolves: false },
        Act {
            summary: "system-probe replaces cilium-agent's filter",
            play: overwrite,
            resolves: false,
        },
    ],
};

/// An agent that replaces its filter in place, also after a restart.
pub const OWN_PLACE: Quiet =
    Quiet { summary: "an agent replaces its own filter", signal: "tc", play: own_place };

fn failing(stage: &Stage) -> Result<Played> {
    let link = Veth::create()?;
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
    let link = Veth::create()?;
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
    let link = Veth::create()?;
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

/// cilium/cilium#21345 with DataDog/datadog-agent#13692: `tc` exits 0, but the other's filter is gone.
fn overwrite(stage: &Stage) -> Result<Played> {
    let link = Veth::create()?;
    attach_clsact(&link)?;
    let mut victim = link.agent(stage, "cilium-agent", "take", 1)?;
    victim.done()?;
    let mut culprit = link.agent(stage, "system-probe", "take", 1)?;
    let expected = link
        .about("tc-foreign-overwrite", "system-probe")
        .is("/evidence/parent", "ingress")
        .is("/evidence/overwritten", true)
        .is("/evidence/victim/comm", "cilium-agent")
        .is("/evidence/victim/pid", victim.pid());
    played(culprit.first_bad_act()?, expected, vec![victim, culprit], link)
}

fn own_place(stage: &Stage) -> Result<Silence> {
    let link = Veth::create()?;
    attach_clsact(&link)?;
    let mut before = link.agent(stage, "cilium-agent", "take", 2)?;
    before.done()?;
    drop(before);
    let mut after = link.agent(stage, "cilium-agent", "take", 1)?;
    after.done()?;
    Ok(Silence { events: 4, props: vec![Box::new(after), Box::new(link)] })
}

fn attach_clsact(link: &Veth) -> Result<()> {
    link.netns.inside(|| Interface::new(&link.name, None).attach_clsact())
}

fn played(since: Moment, expected: Expectation, agents: Vec<Actor>, link: Veth) -> Result<Played> {
    let mut props: Props =
        agents.into_iter().map(|agent| Box::new(agent) as Box<dyn Any>).collect();
    props.push(Box::new(link));
    Ok(Played { since, expected: vec![expected], props })
}
