//! One agent has the RTNL mutex most of the time, and everybody else waits for it.

use anyhow::Result;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::props::netns::Netns;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage, Unseen};

/// Pairs of links that are deleted while the mutex is held.
const PAIRS: u32 = 150;
/// `ip` commands that need the mutex at the same time.
const WAITERS: u32 = 4;

/// Where waits cannot be told from those for other locks.
const UNSEEN: Unseen = Unseen {
    signal: "rtnl",
    hook: "wait",
    rung: "none",
    why: "no hook of the kernel's locks is to be had, or the mutex's address is hidden",
};

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "rtnl-pressure",
    summary: "link-storm makes and deletes 300 links at a time, pod-agent changes one now and then",
    expected: "rtnl-pressure: pod-agent waits for the ip of link-storm; resolved at its end",
    config: "[rtnl]\nwindow = \"10s\"\nwarn_waited = \"3s\"\ncritical_waited = \"1h\"\n\
             critical_wait = \"1h\"\nhold = \"1s\"\n",
    prelude: None,
    quiet: &[ONE_POD, LINK_SHOW],
    acts: &[Act {
        summary: "link-storm deletes links by the hundred while pod-agent needs the mutex",
        play: storm,
        resolves: true,
    }],
};

/// The life of one pod after the other.
pub const ONE_POD: Quiet =
    Quiet { summary: "network namespaces come and go, one at a time", signal: "rtnl", play: pods };

/// What operators loop over.
pub const LINK_SHOW: Quiet =
    Quiet { summary: "two loops of 50 ip link show", signal: "rtnl", play: shows };

fn storm(stage: &Stage) -> Result<Played> {
    let (node, pod) = (Netns::create()?, Netns::create()?);
    // The storm makes links of this kind; where there are none, it is told here.
    node.add_link("first", "veth peer name other")?;
    let place = |netns: &Netns| ["--netns".into(), netns.path().into_os_string()];
    let mut storm_args = vec!["rtnl-storm".into()];
    storm_args.extend(place(&node));
    storm_args.extend(["--pairs".into(), PAIRS.to_string().into()]);
    let mut touch_args = vec!["rtnl-touch".into()];
    touch_args.extend(place(&pod));
    touch_args.extend(["--threads".into(), WAITERS.to_string().into()]);
    let mut stormer = Actor::start("link-storm", storm_args)?;
    let since = stormer.first_bad_act()?;
    let mut waiter = Actor::start("pod-agent", touch_args)?;
    waiter.first_bad_act()?;
    stage.reporter.progress(format!("link-storm is process {}", stormer.pid()));
    let expected = Expectation::firing("rtnl-pressure")
        .unless_unseen(&UNSEEN)
        .severity(Severity::Warning)
        .is("/subject/process/comm", "ip")
        .is("/subject/process/parent/comm", "link-storm")
        .is("/subject/process/parent/pid", stormer.pid())
        .at_least("/evidence/waited_ms", 3_000)
        .is("/evidence/holders/0/name", "link-storm")
        .is("/evidence/holders/0/pid", stormer.pid())
        .is("/evidence/holders/0/through", "ip")
        .at_least("/evidence/holders/0/percent", 30)
        .is("/evidence/waiters/0/name", "pod-agent")
        .is("/evidence/waiters/0/pid", waiter.pid());
    let props: Vec<Box<dyn std::any::Any>> =
        vec![Box::new(stormer), Box::new(waiter), Box::new(node), Box::new(pod)];
    Ok(Played { since, expected: vec![expected], props })
}

fn pods(_: &Stage) -> Result<Silence> {
    const PODS: usize = 8;
    for _ in 0..PODS {
        Netns::create()?;
    }
    // Whether anybody waits at all is up to the machine.
    Ok(Silence { events: 0, props: Vec::new() })
}

fn shows(_: &Stage) -> Result<Silence> {
    let start = || Actor::start("operator", ["rtnl-show", "--count", "50"]);
    let (one, other) = (start()?, start()?);
    one.finish()?;
    other.finish()?;
    Ok(Silence { events: 0, props: Vec::new() })
}
