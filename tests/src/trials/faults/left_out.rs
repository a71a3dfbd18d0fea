//! The kernel leaves a program out while it runs on that processor already, which happens where it may
//! preempt whoever runs it: on all kernels since 7.0, and on those for real time.

use anyhow::{Result, ensure};

use super::{wait, watched::Watched};
use crate::expect::Expectation;
use crate::lack;
use crate::metrics;
use crate::props::actor::Actor;
use crate::session::Setup;
use crate::trial::Trial;

/// The fault.
pub const TRIAL: Trial = Trial {
    name: "fault-left-out",
    summary: "four processes on two processors open and close netlink sockets without a pause, and then hold some",
    expected: "it knows each socket that is held, also those that it was not told of, and says how many calls it missed",
    own_guest: true,
    play: check,
};

/// What each process opens and closes at most, and what it then holds.
const CHURN: u64 = 5_000;
const HELD: u64 = 300;
const STORMS: u64 = 4;
/// No kernel is built without preemption any more (commit 7dadeaa6e851 of Linux).
const ALL_PREEMPT: (u32, u32) = (7, 0);

fn check(setup: &Setup) -> Result<String> {
    let mut agent = Watched::start(setup, "")?;
    agent.may_say(Expectation::firing("netlink-leak"));
    let tracked =
        |agent: &Watched| agent.agent.metric("nodeprobe_tracked", &[("signal", "netlink")]);
    let before = wait::at_rest("netlink", || tracked(&agent))?;
    let (churn, held) = (CHURN.to_string(), HELD.to_string());
    let storm =
        || Actor::start("socket-storm", ["netlink-flood", "--churn", &churn, "--hold", &held]);
    let mut storms = (0..STORMS).map(|_| storm()).collect::<Result<Vec<_>>>()?;
    for storm in &mut storms {
        storm.done()?;
    }
    let knows = |more: u64| {
        wait::until("the sockets it knows", || {
            let known = tracked(&agent)?;
            let objection =
                || format!("{known}, not {before} and {more}{}", agent.agent.accounts());
            Ok((known != before + more).then(objection))
        })
    };
    knows(STORMS * HELD)?;
    drop(storms);
    knows(0)?;
    agent.agent.reconciles()?;
    let left_out = metrics::left_out(&agent.agent.scrape()?, "netlink");
    let release = lack::release();
    ensure!(left_out > 0 || lack::number(&release) < ALL_PREEMPT, "{release} left nothing out");
    agent.end()?;
    Ok(format!("{left_out} calls were left out, and every socket is known"))
}
