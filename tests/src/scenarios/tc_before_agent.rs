//! A node that was sick before there was an agent: handles that disagree and are only ever replaced in
//! place (projectcalico/calico#10376 from 3.28.5 to 3.30), and filters that piled up.

use anyhow::Result;

use crate::clock::Moment;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::veth::Veth;
use crate::scenario::{Played, Prelude, Scenario, Stage};
use crate::scenarios::tc_handle_toggle::POD_CHURN;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-before-agent",
    summary: "handles that disagree and filters that piled up before the agent started",
    expected: "tc-asymmetry with both handles once writes have gone on, and tc-prio-leak at once",
    config: "[tc]\nasymmetry = \"5s\"\n",
    prelude: Some(Prelude {
        summary: "calico-node has frozen a mismatch, cni-agent has piled up filters, and no agent watches",
        play: freeze_and_pile_up,
        resolves: false,
        unseen_on: None,
    }),
    quiet: &[POD_CHURN],
    acts: &[],
};

fn freeze_and_pile_up(stage: &Stage) -> Result<Played> {
    let (frozen, piled) = (Veth::create()?, Veth::create()?);
    let mut calico = frozen.agent(stage, "calico-node", "freeze", 1)?;
    let mut first = piled.agent(stage, "cni-agent", "attach", 1)?;
    calico.done()?;
    first.done()?;
    let mut second = piled.agent(stage, "cni-agent", "pile-up", 4)?;
    second.done()?;
    let expected = vec![
        // Who did that is not to be known.
        Expectation::firing("tc-prio-leak")
            .is("/subject/interface/name", piled.name.clone())
            .is("/subject/netns", piled.netns.inum()?)
            .is("/evidence/parent", "ingress")
            .is("/evidence/filters", 5)
            .is("/evidence/seeded", 5),
        frozen
            .about("tc-asymmetry", "calico-node")
            .severity(Severity::Critical)
            .is("/subject/netns", frozen.netns.inum()?)
            .is("/evidence/handles", vec![2, 1])
            .at_least("/evidence/writes_since", 2),
        frozen.about("tc-rewrite-rate", "calico-node"),
    ];
    Ok(Played {
        since: Moment::now(),
        expected,
        props: vec![
            Box::new(calico),
            Box::new(first),
            Box::new(second),
            Box::new(frozen),
            Box::new(piled),
        ],
    })
}
