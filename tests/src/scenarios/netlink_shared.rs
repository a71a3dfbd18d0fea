//! Netlink sockets that are copied and handed to other processes: each is one socket, until the last
//! fd for it is closed, whoever does that.

use anyhow::Result;

use crate::expect::Expectation;
use crate::finding::Severity;
use crate::props::actor::Actor;
use crate::scenario::{Act, Played, Quiet, Scenario, Silence, Stage, Unseen};

/// Open sockets that are critical, in the agent's defaults: more than are handed on, fewer than fds
/// there are for them.
const CRITICAL_OPEN: u64 = 512;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    name: "netlink-shared",
    summary: "netlink sockets passed on by dup, fork, SCM_RIGHTS and pidfd_getfd",
    expected: "each counted once: silence about 300 sockets behind 600 fds; netlink-leak critical when the opener \
               closed its fds, others hold the sockets, and it opens 300 more; resolved when the holder ends; \
               silence on the tracepoint rung, which says that it does not see copies",
    config: "[netlink]\nhold = \"2s\"\n",
    prelude: None,
    quiet: &[SHARED],
    acts: &[Act {
        summary: "sharing-agent hands 300 sockets on, closes its own fds for them, opens 300 more",
        play: share_and_open,
        resolves: true,
    }],
};

/// As many sockets as are no leak, behind more fds than would be.
pub const SHARED: Quiet = Quiet {
    summary: "300 netlink sockets that two processes share",
    signal: "netlink",
    play: share,
};

const COPIES: Unseen = Unseen {
    signal: "netlink",
    hook: "sockets",
    rung: "tracepoint",
    why: "it takes the first close of an opener for the last",
};

fn share(_: &Stage) -> Result<Silence> {
    let mut sharing = Actor::start("sharing-agent", ["netlink-share"])?;
    let events = sharing.done()?;
    Ok(Silence { events, props: vec![Box::new(sharing)] })
}

fn share_and_open(stage: &Stage) -> Result<Played> {
    let mut sharing = Actor::start("sharing-agent", ["netlink-share", "--further", "300"])?;
    stage.reporter.progress(format!("sharing-agent is process {}", sharing.pid()));
    let since = sharing.first_bad_act()?;
    sharing.done()?;
    let expected = Expectation::firing("netlink-leak")
        .severity(Severity::Critical)
        .is("/subject/process/pid", sharing.pid())
        .is("/subject/process/comm", "sharing-agent")
        .at_least("/evidence/open", CRITICAL_OPEN)
        .unless_unseen(&COPIES);
    Ok(Played { since, expected: vec![expected], props: vec![Box::new(sharing)] })
}
