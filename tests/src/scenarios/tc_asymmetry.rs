//! Ingress and egress that no longer agree (projectcalico/calico#10376): handles out of phase for ever
//! after one one-sided attach, and a direction that lost its filter.

use anyhow::Result;

use crate::finding::Severity;
use crate::props::veth::Veth;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage};
use crate::scenarios::tc_handle_toggle::POD_CHURN;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-asymmetry",
    summary: "ingress and egress of a veth disagree: handles out of phase, or no egress filter",
    expected: "tc-asymmetry, critical, with both handles or the missing side, and who wrote last",
    config: "[tc]\nasymmetry = \"5s\"\n",
    prelude: None,
    quiet: &[POD_CHURN, SLOW_SWAP, INGRESS_ONLY],
    acts: &[
        Act {
            summary: "calico-node swaps the filters of both directions, out of phase",
            play: out_of_phase,
            resolves: false,
        },
        Act { summary: "calico-node loses an egress filter", play: missing, resolves: false },
    ],
};

/// An update with a pause between its halves.
pub const SLOW_SWAP: Quiet =
    Quiet { summary: "an update is one-sided for a second", signal: "tc", play: slow_swap };

/// An agent that only looks at what comes in.
pub const INGRESS_ONLY: Quiet =
    Quiet { summary: "an agent attaches at ingress only", signal: "tc", play: ingress_only };

fn out_of_phase(stage: &Stage) -> Result<Played> {
    let link = Veth::create()?;
    let mut calico = link.actor(stage, "calico-node", "tc-toggle", &["--pause-ms", "1500"])?;
    let since = calico.first_bad_act()?;
    let expected = vec![
        link.about("tc-asymmetry", "calico-node")
            .severity(Severity::Critical)
            .is("/evidence/prio", 49_152)
            .at_least("/evidence/writes_since", 2)
            .is("/evidence/ingress/by/comm", "calico-node")
            .is("/evidence/egress/by/pid", calico.pid()),
        link.about("tc-handle-toggle", "calico-node"),
        link.about("tc-rewrite-rate", "calico-node"),
    ];
    Ok(Played { since, expected, props: vec![Box::new(calico), Box::new(link)] })
}

fn missing(stage: &Stage) -> Result<Played> {
    let link = Veth::create()?;
    let mut calico = link.agent(stage, "calico-node", "lose-egress", 1)?;
    let since = calico.first_bad_act()?;
    let expected = link
        .about("tc-asymmetry", "calico-node")
        .severity(Severity::Critical)
        .is("/evidence/missing", "egress")
        .is("/evidence/ingress/what", "wrote")
        .is("/evidence/egress/what", "deleted")
        .is("/evidence/egress/by/pid", calico.pid());
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(calico), Box::new(link)] })
}

fn slow_swap(stage: &Stage) -> Result<Silence> {
    quiet(stage, "swap-slowly", 5)
}

fn ingress_only(stage: &Stage) -> Result<Silence> {
    quiet(stage, "ingress-only", 4)
}

fn quiet(stage: &Stage, act: &str, events: u64) -> Result<Silence> {
    let link = Veth::create()?;
    let mut agent = link.agent(stage, "calico-node", act, 1)?;
    agent.done()?;
    Ok(Silence { events, props: vec![Box::new(agent), Box::new(link)] })
}
