//! An agent as a container runtime starts one: in a cgroup and a cgroup namespace of its own, from which
//! /proc tells where others are by `/..` alone.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::agent::{Agent, Output};
use crate::expect::Expectation;
use crate::props::actor::Actor;
use crate::props::cgroup::PidsCgroup;
use crate::props::pod::{NODE_ROOT, Pod, Told};
use crate::session::Setup;
use crate::trial::Trial;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "cgroup-namespace",
    summary: "the agent starts in a cgroup namespace of its own, and a pod runs out of fds",
    expected: "what is polled names the pod too",
    own_guest: false,
    play: check,
};

/// More tasks than anything here has.
const ROOM: u32 = 1_000;

fn check(setup: &Setup) -> Result<String> {
    let pod = Pod::create("hungry-0", ROOM, Told::ByKubelet)?;
    let args = ["fd-leak", "--kind", "eventfd", "--count", "1000", "--nofile", "256"];
    let mut hungry = Actor::start("hungry-agent", args)?;
    let procs = |cgroup: &PidsCgroup| cgroup.path().join("cgroup.procs");
    fs::write(procs(pod.container()), hungry.pid().to_string())
        .context("cannot move the workload into the pod")?;
    hungry.done()?;

    let own = PidsCgroup::create(ROOM)?;
    let mut command = Command::new(&setup.nodeprobe);
    let own_procs = procs(&own);
    let enter = move || {
        // 0 is whoever writes it.
        fs::write(&own_procs, "0")?;
        // SAFETY: a cgroup namespace takes no file from anybody.
        unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }.map_err(Into::into)
    };
    // SAFETY: between fork and exec it makes system calls alone; a short path is no allocation.
    unsafe { command.pre_exec(enter) };
    let config = format!("[fd]\npoll = \"1s\"\n[enrich]\nhost_root = \"{NODE_ROOT}\"\n");
    let (args, reporter) = (&setup.agent_args, &setup.stage.reporter);
    let agent = Agent::launch(command, Output::Pipe, &config, args, reporter)?;
    let expected = Expectation::firing("fd-exhausted").is("/subject/process/pid", hungry.pid());
    agent.expect(&pod.is_subject(expected))?;
    agent.stop()?;
    Ok("a finding of a poll names the pod".into())
}
