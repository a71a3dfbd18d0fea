//! `nodeprobe doctor` says beforehand what `nodeprobe run` then does.

use std::ffi::OsString;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::report::{Line, Verdict};
use crate::session::Setup;

/// Name of the verdict.
pub const NAME: &str = "doctor";

/// What the agent ends with where no hook works at all.
const NOTHING_TO_SEE: &str = "no hook could be attached";

/// The rungs there are, best first, as `--rung` takes them.
pub const RUNGS: &[&str] = &["fexit", "kprobe", "tracepoint"];

/// The parts of `nodeprobe doctor -o json` that can be checked against a running agent.
#[derive(Deserialize)]
struct Report {
    covered: bool,
    hooks: Vec<Hook>,
}

/// What the doctor said of every hook.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hooks {
    /// The rung it was told to look at only; each hook's best without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    pub hooks: Vec<Hook>,
}

/// What it said of one hook.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hook {
    pub signal: String,
    pub hook: String,
    /// Absent when no rung works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<String>,
    /// What the rung in use does not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misses: Option<String>,
    /// Why this kernel has nothing to see there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<String>,
    /// The kernel module it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// The rungs that were tried in vain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A rung that does not work.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Refused {
    pub rung: String,
    pub why: String,
    #[serde(default, skip_serializing)]
    pub todo: String,
}

impl Hook {
    /// The rung as the agent's metric has it.
    #[must_use]
    pub fn rung_name(&self) -> &str {
        match (&self.rung, &self.not_applicable, &self.pending) {
            (Some(rung), ..) => rung,
            (None, Some(_), _) => "not_applicable",
            (None, None, Some(_)) => "pending",
            (None, None, None) => "none",
        }
    }
}

/// Reports what the doctor says of every hook: its own choice, and each rung alone.
pub fn report_rungs(setup: &Setup) -> Result<()> {
    for forced in [None].into_iter().chain(RUNGS.iter().copied().map(Some)) {
        let rung = forced.into_iter().flat_map(|rung| ["--rung".into(), rung.into()]);
        let args: Vec<OsString> = setup.agent_args.iter().cloned().chain(rung).collect();
        let (report, _) = consult(setup, &args)?;
        let forced = forced.map(str::to_owned);
        setup.stage.reporter.line(&Line::Hooks(Hooks { forced, hooks: report.hooks }));
    }
    Ok(())
}

/// Compares what the doctor says with what an agent does on the same kernel.
#[must_use]
pub fn verdict(setup: &Setup) -> Verdict {
    match check(setup) {
        Ok(detail) => Verdict::new(NAME, true, detail),
        Err(error) => Verdict::new(NAME, false, format!("{error:#}")),
    }
}

/// What the doctor says of one hook, by its own choice.
pub fn of_hook(setup: &Setup, signal: &str, hook: &str) -> Result<Hook> {
    let (report, _) = consult(setup, &setup.agent_args)?;
    let mut hooks = report.hooks.into_iter();
    let found = hooks.find(|found| found.signal == signal && found.hook == hook);
    found.with_context(|| format!("the doctor does not tell of {signal}/{hook}"))
}

fn consult(setup: &Setup, args: &[OsString]) -> Result<(Report, ExitStatus)> {
    let output = Command::new(&setup.nodeprobe)
        .args(["doctor", "-o", "json"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", setup.nodeprobe.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Report = serde_json::from_str(&said).with_context(|| {
        format!("not a report: {said:?}, stderr {:?}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok((report, output.status))
}

fn check(setup: &Setup) -> Result<String> {
    let (report, status) = consult(setup, &setup.agent_args)?;
    let all = report.hooks.iter().all(|hook| hook.rung_name() != "none");
    ensure!(report.covered == all, "covered is {}, its own hooks say {all}", report.covered);
    let expected = Some(i32::from(!all));
    ensure!(status.code() == expected, "{status} where covered is {all}");

    let (count, forced) = (report.hooks.len(), setup.stage.rung.clone());
    setup.stage.reporter.line(&Line::Hooks(Hooks { forced, hooks: report.hooks.clone() }));
    let agent = Agent::start(&setup.nodeprobe, "", &setup.agent_args, &setup.stage.reporter);
    if report.hooks.iter().all(|hook| hook.rung.is_none()) {
        let refusal = agent.err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(refusal.contains(NOTHING_TO_SEE), "no hook works, and the agent says: {refusal}");
        return Ok("no hook works, and the agent says so at once".to_owned());
    }
    let agent = agent?;
    for hook in &report.hooks {
        let (name, rung) = (format!("{}/{}", hook.signal, hook.hook), hook.rung_name());
        let used = agent.uses_rung(&hook.signal, &hook.hook, rung)?;
        ensure!(used, "{name}: the doctor says {rung}, the agent does otherwise");
        let explained = rung != "none" || !hook.refused.is_empty();
        ensure!(explained, "{name}: not covered, and no reason given");
        for Refused { rung, why, todo } in &hook.refused {
            ensure!(!why.is_empty(), "{name}: no reason why {rung} is refused");
            ensure!(!todo.is_empty(), "{name}: nothing said to do about {rung}: {why}");
        }
    }
    let findings = agent.stop()?;
    ensure!(findings.is_empty(), "a finding while nothing happened: {}", findings[0]);
    Ok(format!("{count} hooks on the rungs that were foretold"))
}
