//! Calico's re-attach storm (projectcalico/calico#10143): a heartbeat takes all interfaces for dirty.

use anyhow::Result;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::netns::Netns;
use crate::props::unique;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage};

/// Interfaces of the node.
const LINKS: usize = 8;
/// One qdisc and one filter each way.
const ATTACHES: usize = LINKS * 3;
/// One filter each way.
const REWRITES: usize = LINKS * 2;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-sweep",
    summary: "calico-node writes the filters of all interfaces again, twice in a minute",
    expected: "tc-sweep, critical, about calico-node and its namespace; silence about two restarts",
    config: "[tc]\nsweep_grace = \"3s\"\n",
    prelude: None,
    quiet: &[RESTARTS],
    acts: &[Act { summary: "calico-node sweeps twice", play: sweep, resolves: false }],
};

/// Each restart attaches to everything once.
pub const RESTARTS: Quiet =
    Quiet { summary: "an agent with many interfaces restarts twice", signal: "tc", play: restart };

/// A node with many interfaces.
struct Node {
    netns: Netns,
    links: Vec<String>,
}

impl Node {
    fn create() -> Result<Self> {
        let netns = Netns::create()?;
        let links: Vec<String> = (0..LINKS).map(|_| unique("cali")).collect();
        for link in &links {
            let peer = unique("eth");
            netns.add_link(link, &format!("veth peer name {peer}"))?;
        }
        Ok(Self { netns, links })
    }

    fn calico(&self, stage: &Stage, more: &[&str]) -> Result<Actor> {
        let mut args =
            vec!["tc-sweep".into(), "--netns".into(), self.netns.path().into_os_string()];
        args.extend(self.links.iter().flat_map(|link| ["--dev".into(), link.into()]));
        args.extend(more.iter().map(Into::into));
        if let Some(object) = &stage.classifier {
            args.extend(["--classifier".into(), object.clone().into_os_string()]);
        }
        Actor::start("calico-node", args)
    }
}

fn sweep(stage: &Stage) -> Result<Played> {
    let node = Node::create()?;
    let mut calico = node.calico(stage, &["--attach", "--after-ms", "3500", "--rounds", "2"])?;
    let since = calico.first_bad_act()?;
    let expected = Expectation::firing("tc-sweep")
        .severity(Severity::Critical)
        .is("/subject/netns", node.netns.inum()?)
        .is("/subject/process/comm", "tc")
        .is("/evidence/agent/comm", "calico-node")
        .is("/evidence/agent/pid", calico.pid())
        .at_least("/evidence/sweeps", 2)
        .at_least("/evidence/interfaces", 7)
        .at_least("/evidence/agent_age_seconds", 3)
        .is("/evidence/known_interfaces", LINKS as u64);
    let props: Vec<Box<dyn std::any::Any>> = vec![Box::new(calico), Box::new(node.netns)];
    Ok(Played { since, expected: vec![expected], props })
}

fn restart(stage: &Stage) -> Result<Silence> {
    let node = Node::create()?;
    let mut calico = node.calico(stage, &["--attach", "--rounds", "0"])?;
    calico.done()?;
    for _ in 0..2 {
        drop(calico);
        calico = node.calico(stage, &["--rounds", "1"])?;
        calico.done()?;
    }
    let events = (ATTACHES + 2 * REWRITES) as u64;
    Ok(Silence { events, props: vec![Box::new(calico), Box::new(node.netns)] })
}
