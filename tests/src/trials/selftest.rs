//! `nodeprobe selftest` confirms each signal where the chain is whole, and names the link where it is not.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde::Deserialize;

use crate::agent::Agent;
use crate::init;
use crate::lack::Lack;
use crate::props::cgroup;
use crate::report::SkipKind;
use crate::session::Setup;
use crate::trial::Trial;

/// All links hold, beside an agent that watches the same.
pub const PROOF: Trial = Trial {
    name: "selftest",
    summary: "the selftest runs beside an agent that watches the same",
    expected: "it confirms every signal, and the agent stays quiet",
    own_guest: false,
    play: proof,
};

/// Links that are broken for real.
pub const BROKEN: Trial = Trial {
    name: "selftest-broken",
    summary: "the selftest runs with cgroupfs read-only, and on a rung that cannot run",
    expected: "it names the link that broke",
    own_guest: false,
    play: broken,
};

/// Longer than any guest needs: time is no part of what is judged.
const WITHIN: &str = "60s";
/// Events that the selftest causes at least, each seen by the agent beside it too.
const EVENTS: [(&str, u64); 3] = [("tc", 5), ("fork", 1), ("netlink", 16)];

/// The parts of `nodeprobe selftest -o json` that are judged.
#[derive(Deserialize)]
struct Report {
    confirmed: bool,
    signals: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    signal: String,
    rung: Option<String>,
    state: String,
    took_ms: Option<u64>,
    broke_at: Option<String>,
    #[serde(default)]
    why: String,
}

impl Outcome {
    fn is(&self, state: &str, broke_at: Option<&str>) -> Result<()> {
        let Self { signal, state: is, broke_at: at, why, .. } = self;
        ensure!(
            is == state && at.as_deref() == broke_at,
            "{signal} is {is} at {at:?} ({why}), not {state} at {broke_at:?}"
        );
        Ok(())
    }

    /// Nothing broke, but for what the machine lacks: that must be named.
    fn is_whole(&self, setup: &Setup, no_veth: Option<&Lack>) -> Result<()> {
        let Some(lack) = no_veth.filter(|_| self.signal == "tc") else {
            return self.is("confirmed", None);
        };
        self.is("failed", Some("act"))?;
        ensure!(self.why.contains("refuses a veth"), "{}", self.why);
        setup.stage.skip("a filter flips on a veth", SkipKind::NotPlayed, lack.to_string());
        Ok(())
    }
}

fn proof(setup: &Setup) -> Result<String> {
    let agent = Agent::start(&setup.nodeprobe, "", &setup.agent_args, &setup.stage.reporter)?;
    let before = EVENTS.map(|(signal, _)| agent.events(signal));
    let no_veth = Lack::module("veth");
    let report = selftest(setup, &setup.agent_args, i32::from(no_veth.is_some()))?;
    for outcome in &report.signals {
        outcome.is_whole(setup, no_veth.as_ref())?;
        let rung = outcome.rung.as_deref().unwrap_or_default();
        let wanted = setup.stage.rung.as_deref();
        ensure!(wanted.is_none_or(|wanted| wanted == rung), "{} on {rung}", outcome.signal);
    }
    ensure!(report.confirmed == no_veth.is_none(), "confirmed is {}", report.confirmed);
    for ((signal, least), before) in EVENTS.into_iter().zip(before) {
        let none = signal == "tc" && no_veth.is_some();
        agent.has_seen(signal, before? + if none { 0 } else { least })?;
    }
    // Others share a host, and what they do.
    if init::is_guest() {
        for (signal, _) in EVENTS {
            let lost = agent.account(signal)?.lost;
            ensure!(lost == 0, "the agent beside it lost {lost} {signal} events");
        }
    }
    agent.reconciles()?;
    let findings = agent.stop()?;
    ensure!(findings.is_empty(), "the agent beside it was heard: {}", findings[0]);
    leaves_nothing()?;
    let took =
        |outcome: &Outcome| format!("{} {} ms", outcome.signal, outcome.took_ms.unwrap_or(0));
    Ok(report.signals.iter().map(took).collect::<Vec<_>>().join(", "))
}

fn leaves_nothing() -> Result<()> {
    let root = cgroup::pids_mount()?;
    let left = fs::read_dir(&root).with_context(|| format!("cannot list {}", root.display()))?;
    let names = left.filter_map(|entry| Some(entry.ok()?.file_name()));
    // Another selftest may run on a host meanwhile.
    let left = names.filter(|name| name.to_string_lossy().starts_with("nodeprobe-selftest-"));
    let left: Vec<OsString> = left.filter(|_| init::is_guest()).collect();
    ensure!(left.is_empty(), "it left {left:?} in {}", root.display());
    Ok(())
}

fn broken(setup: &Setup) -> Result<String> {
    let pids = cgroup::pids_mount()?;
    let read_only = MountFlags::BIND | MountFlags::RDONLY;
    let report = elsewhere(
        || mount_remount(&pids, read_only, c"").context("cannot remount cgroupfs"),
        || selftest(setup, &setup.agent_args, 1),
    )?;
    for outcome in &report.signals {
        match outcome.signal.as_str() {
            "fork" => {
                outcome.is("failed", Some("act"))?;
                let why = &outcome.why;
                ensure!(why.contains("mount the node's cgroupfs writable"), "{why}");
            }
            _ => outcome.is_whole(setup, Lack::module("veth").as_ref())?,
        }
    }
    let fexit = ["--rung", "fexit"].map(OsString::from);
    let report = elsewhere(
        || mount("tmpfs", "/sys/kernel/btf", "tmpfs", MountFlags::empty(), None).context("tmpfs"),
        || selftest(setup, &fexit, 1),
    )?;
    for outcome in &report.signals {
        outcome.is("not_covered", Some("hook"))?;
        ensure!(outcome.why.contains("no fexit: the kernel shows no BTF"), "{}", outcome.why);
    }
    Ok("act where cgroupfs is read-only, hook where a forced rung cannot run".into())
}

/// Does something in a mount namespace that was changed; what it starts is born there.
fn elsewhere<T: Send>(
    change: impl FnOnce() -> Result<()> + Send,
    act: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    // A namespace is a thread's own: this one ends with the work and the caller stays outside.
    let work = move || {
        // SAFETY: only this thread moves, and takes nothing of the others' with it.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("cannot unshare the mounts")?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/sys", private).context("cannot make /sys private")?;
        change()?;
        act()
    };
    thread::scope(|scope| scope.spawn(work).join())
        .map_err(|_| anyhow!("the work in another mount namespace panicked"))?
}

/// Runs it and takes its report; the exit code must be this one.
fn selftest(setup: &Setup, args: &[OsString], code: i32) -> Result<Report> {
    let binary: &Path = &setup.nodeprobe;
    let output = Command::new(binary)
        .args(["selftest", "-o", "json", "--within", WITHIN])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", binary.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report: Report = serde_json::from_str(&said)
        .with_context(|| format!("not a report: {said:?}, stderr {stderr:?}"))?;
    ensure!(output.status.code() == Some(code), "{} instead of {code}: {said}", output.status);
    ensure!(report.signals.len() == EVENTS.len(), "not every signal is there: {said}");
    Ok(report)
}
