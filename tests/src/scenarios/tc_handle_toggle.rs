//! Calico's livelock (projectcalico/calico#10143, #10376): each attach adds a filter at the same
//! priority and deletes the old one, so handles toggle 1, 2, 1, 2, and never agree.

use anyhow::{Context, Result};

use crate::exec;
use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::netns::Netns;
use crate::props::unique;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage};
use crate::tc::{Direction, Interface};

/// Pods that come and go in the quiet control.
const PODS: usize = 12;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "tc-handle-toggle",
    summary: "calico-node rewrites the filters of a veth for ever, its handles toggling 1, 2, 1",
    expected: "tc-handle-toggle, critical, and tc-rewrite-rate, on that veth, by tc of calico-node",
    config: "",
    prelude: None,
    quiet: &[POD_CHURN, REUSED_NAMES],
    acts: &[Act {
        summary: "calico-node re-attaches both directions of a veth without end",
        play: toggle,
        resolves: false,
    }],
};

/// Pods come, have their policies looked at, outlive one restart of the agent, and go.
pub const POD_CHURN: Quiet = Quiet { summary: "pods come and go", signal: "tc", play: churn };

/// A CNI that attaches inside the pod: each pod has an eth0 with the same index, in a namespace that
/// gets the inode number of the one before.
pub const REUSED_NAMES: Quiet =
    Quiet { summary: "pods whose eth0 has filters", signal: "tc", play: reused_names };

fn toggle(stage: &Stage) -> Result<Played> {
    let node = Netns::create()?;
    let veth = unique("cali");
    node.add_link(&veth, "veth peer name eth0")?;
    stage
        .reporter
        .progress(format!("calico-node takes veth {veth} in network namespace {}", node.name()));

    let mut args = vec!["tc-toggle".into(), "--netns".into(), node.path().into_os_string()];
    args.extend(["--dev".into(), veth.clone().into()]);
    if let Some(object) = &stage.classifier {
        args.extend(["--classifier".into(), object.clone().into_os_string()]);
    }
    let mut calico = Actor::start("calico-node", args)?;
    let since = calico.first_bad_act()?;

    let netns = node.inum()?;
    let about_veth = |rule| {
        Expectation::firing(rule)
            .is("/subject/interface/name", veth.clone())
            .is("/subject/netns", netns)
            .is("/subject/process/comm", "tc")
            .is("/subject/process/parent/comm", "calico-node")
    };
    let expected = vec![
        about_veth("tc-handle-toggle")
            .severity(Severity::Critical)
            .at_least("/evidence/toggles", 3),
        program_in(stage, &node, &veth, about_veth("tc-rewrite-rate"))?
            .at_least("/evidence/writes", 4),
    ];
    Ok(Played { since, expected, props: vec![Box::new(calico), Box::new(node)] })
}

/// Expects the program that tc shows, where it is one the kernel has a name for.
fn program_in(
    stage: &Stage,
    node: &Netns,
    veth: &str,
    expected: Expectation,
) -> Result<Expectation> {
    if stage.classifier.is_none() {
        return Ok(expected);
    }
    let args = ["filter", "show", "dev", veth, "ingress"];
    let shown = node.inside(|| exec::run("tc", &args))?;
    let words: Vec<&str> = shown.split_whitespace().collect();
    let tag = words.windows(2).find(|pair| pair[0] == "tag").map(|pair| pair[1]);
    let tag = tag.with_context(|| format!("tc shows no tag: {shown}"))?;
    Ok(expected
        .is("/evidence/program/name", "pass")
        .is("/evidence/program/tag", tag)
        .ends_with("/evidence/program/source", ":[classifier]"))
}

fn churn(stage: &Stage) -> Result<Silence> {
    /// What [`Interface::attach_first`] and two [`Interface::reattach`] write: 3, then 2 each.
    const WRITES_PER_POD: usize = 3 + 2 * 2;

    let node = Netns::create()?;
    for number in 0..PODS {
        let pod = Netns::create()?;
        let veth = unique("cali");
        node.add_link(&veth, &format!("veth peer name eth0 netns {}", pod.name()))?;
        node.inside(|| {
            exec::run("ip", &["link", "set", &veth, "up"])?;
            let interface = Interface::new(&veth, stage.classifier.as_ref());
            interface.attach_first()?;
            for direction in Direction::BOTH {
                interface.handles(direction)?;
                interface.reattach(direction)?;
                interface.handles(direction)?;
            }
            // Half of the pods lose their link first, the others go with their namespace.
            if number % 2 == 0 {
                exec::run("ip", &["link", "del", &veth])?;
            }
            Ok(())
        })?;
    }
    Ok(Silence { events: (PODS * WRITES_PER_POD) as u64, props: Vec::new() })
}

fn reused_names(stage: &Stage) -> Result<Silence> {
    /// One qdisc, one filter each way.
    const WRITES_PER_POD: usize = 3;

    for _ in 0..PODS {
        let pod = Netns::create()?;
        pod.add_link("eth0", "veth peer name eth1")?;
        pod.inside(|| Interface::new("eth0", stage.classifier.as_ref()).attach_first())?;
    }
    Ok(Silence { events: (PODS * WRITES_PER_POD) as u64, props: Vec::new() })
}
