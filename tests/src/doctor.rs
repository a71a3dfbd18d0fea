//! `nodeprobe doctor` says beforehand what `nodeprobe run` then does.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::agent::Agent;
use crate::report::Verdict;
use crate::session::Setup;

/// Name of the verdict.
const NAME: &str = "doctor";

/// The parts of `nodeprobe doctor -o json` that can be checked against a running agent.
#[derive(Deserialize)]
struct Report {
    covered: bool,
    hooks: Vec<Hook>,
}

#[derive(Deserialize)]
struct Hook {
    signal: String,
    hook: String,
    /// Absent when no rung works.
    rung: Option<String>,
    /// Why this kernel has nothing to see there.
    not_applicable: Option<String>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    rung: String,
    why: String,
    todo: String,
}

/// Compares what the doctor says with what an agent does on the same kernel.
#[must_use]
pub fn verdict(setup: &Setup) -> Verdict {
    match check(setup) {
        Ok(detail) => Verdict::new(NAME, true, detail),
        Err(error) => Verdict::new(NAME, false, format!("{error:#}")),
    }
}

fn check(setup: &Setup) -> Result<String> {
    let output = Command::new(&setup.nodeprobe)
        .args(["doctor", "-o", "json"])
        .args(&setup.agent_args)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", setup.nodeprobe.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Report = serde_json::from_str(&said).with_context(|| {
        format!("not a report: {said:?}, stderr {:?}", String::from_utf8_lossy(&output.stderr))
    })?;
    let all = report.hooks.iter().all(|hook| hook.rung.is_some() || hook.not_applicable.is_some());
    ensure!(report.covered == all, "covered is {}, its own hooks say {all}", report.covered);
    let expected = Some(i32::from(!all));
    ensure!(output.status.code() == expected, "{} where covered is {all}", output.status);

    let agent = Agent::start(&setup.nodeprobe, "", &setup.agent_args, &setup.stage.reporter)?;
    for Hook { signal, hook, rung, not_applicable, refused } in &report.hooks {
        let name = format!("{signal}/{hook}");
        let absent = not_applicable.is_some();
        let rung_name = rung.as_deref().unwrap_or(if absent { "not_applicable" } else { "none" });
        let used = agent.uses_rung(signal, hook, rung_name)?;
        ensure!(used, "{name}: the doctor says {rung_name}, the agent does otherwise");
        ensure!(
            rung.is_some() || absent || !refused.is_empty(),
            "{name}: not covered, and no reason given"
        );
        for Refused { rung, why, todo } in refused {
            ensure!(!why.is_empty(), "{name}: no reason why {rung} is refused");
            ensure!(!todo.is_empty(), "{name}: nothing said to do about {rung}: {why}");
        }
    }
    let findings = agent.stop()?;
    ensure!(findings.is_empty(), "a finding while nothing happened: {}", findings[0]);
    Ok(format!("{} hooks on the rungs that were foretold", report.hooks.len()))
}
