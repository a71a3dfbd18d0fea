//! What an agent sees with some of its capabilities left out. Which it needs is found by trying, not by
//! reading the kernel: docs/privileges.md is made of this.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::{Agent, Output};
use crate::report::Line;
use crate::session::Setup;

mod incidents;

use incidents::Incidents;

/// Every capability, as `--without` takes it.
pub const ALL: &str = "all";

/// What is left out, one set a line. With `CAP_SYS_ADMIN` a process may do what `CAP_BPF`, `CAP_PERFMON` and
/// `CAP_CHECKPOINT_RESTORE` allow, so what these are for shows without it only.
pub const LEFT_OUT: &[&[&str]] = &[
    &[],
    &["CAP_BPF", "CAP_PERFMON", "CAP_CHECKPOINT_RESTORE"],
    &["CAP_SYS_ADMIN"],
    &["CAP_SYS_ADMIN", "CAP_BPF"],
    &["CAP_SYS_ADMIN", "CAP_PERFMON"],
    &["CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"],
    &["CAP_SYS_PTRACE"],
    &["CAP_DAC_READ_SEARCH"],
    &["CAP_SYSLOG"],
    &["CAP_SYS_RESOURCE"],
    &[ALL],
];

/// Often, so that rounds of it are soon over.
const CONFIG: &str = "[fd]\npoll = \"1s\"\n[netlink]\nhold = \"2s\"\n";

/// What an agent does without some capabilities.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Privileges {
    /// What was left out.
    pub without: Vec<String>,
    /// What the doctor names as missing.
    pub missing: Vec<String>,
    /// Why it does not run at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<String>,
    /// The rung of each hook, and what that does not see.
    pub hooks: BTreeMap<String, String>,
    /// What it told of the incidents that it was shown.
    pub told: BTreeSet<String>,
    /// What its threads have once it runs, all together.
    pub kept: Vec<String>,
}

/// Reports what the agent does without each set.
pub fn report(setup: &Setup) -> Result<()> {
    let incidents = Incidents::prepare(setup)?;
    for without in LEFT_OUT {
        setup.stage.reporter.progress(format!("without {without:?}"));
        let privileges = of(setup, &incidents, without)?;
        setup.stage.reporter.line(&Line::Privileges(privileges));
    }
    Ok(())
}

/// The trial's: what the agent does with all it uses, and that nothing is refused silently without one.
pub fn check(setup: &Setup) -> Result<String> {
    let incidents = Incidents::prepare(setup)?;
    let all = of(setup, &incidents, &[])?;
    let untold: Vec<_> = incidents::TOLD.iter().filter(|told| !all.told.contains(**told)).collect();
    ensure!(untold.is_empty(), "with all capabilities it does not tell {untold:?}");
    ensure!(all.missing.is_empty(), "with all capabilities it misses {:?}", all.missing);
    let more = all.kept.iter().find(|kept| !incidents::KEPT.contains(&kept.as_str()));
    ensure!(more.is_none(), "once it runs it keeps {more:?}, among {:?}", all.kept);
    let less = of(setup, &incidents, &["CAP_SYS_PTRACE"])?;
    ensure!(less.told != all.told, "without CAP_SYS_PTRACE it tells as much");
    let nothing = of(setup, &incidents, &[ALL])?;
    let ends = nothing.ends.context("without any capability it runs")?;
    ensure!(ends.contains("CAP_BPF"), "without any capability it says {ends:?}");
    Ok(format!("it goes on with {}", all.kept.join(", ")))
}

fn of(setup: &Setup, incidents: &Incidents, without: &[&str]) -> Result<Privileges> {
    let doctor = consult(setup, without)?;
    let missing = doctor["kernel"]["missing_capabilities"].as_array().into_iter().flatten();
    let missing: Vec<String> =
        missing.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect();
    let hooks = doctor["hooks"].as_array().into_iter().flatten().map(hook).collect();
    let mut privileges = Privileges {
        without: without.iter().map(|name| (*name).to_owned()).collect(),
        missing,
        hooks,
        ..Privileges::default()
    };
    let reporter = &setup.stage.reporter;
    let started = Agent::launch(
        restricted(setup, without)?,
        Output::Pipe,
        CONFIG,
        &setup.agent_args,
        reporter,
    );
    match started {
        Ok(agent) => {
            for name in &privileges.missing {
                agent.says(&format!("missing {name}: cannot "))?;
            }
            privileges.kept = incidents::kept(agent.pid())?;
            privileges.told = incidents.told(setup, &agent)?;
            agent.stop()?;
        }
        Err(error) => {
            let error = format!("{error:#}");
            let last = error.lines().last().unwrap_or_default().to_owned();
            let named = privileges.missing.iter().any(|name| last.contains(name));
            ensure!(named, "without {without:?} it does not start, and names none: {error}");
            privileges.ends = Some(last);
        }
    }
    Ok(privileges)
}

/// A command that becomes the agent without some capabilities.
fn restricted(setup: &Setup, without: &[&str]) -> Result<Command> {
    if without.is_empty() {
        return Ok(Command::new(&setup.nodeprobe));
    }
    let own = std::env::current_exe().context("cannot tell this program's path")?;
    let mut command = Command::new(own);
    command.args(["workload", "unprivileged", "--without", &without.join(",")]);
    command.arg(&setup.nodeprobe);
    Ok(command)
}

fn consult(setup: &Setup, without: &[&str]) -> Result<Value> {
    let mut command = restricted(setup, without)?;
    command.args(["doctor", "-o", "json"]).args(&setup.agent_args).stdin(Stdio::null());
    let output = command.output().context("cannot start the doctor")?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!("not a report; stderr {:?}", String::from_utf8_lossy(&output.stderr))
    })
}

/// A hook's name, and its rung with what that does not see.
fn hook(said: &Value) -> (String, String) {
    let text = |name: &str| said[name].as_str().unwrap_or_default();
    let rung = match (text("rung"), said["not_applicable"].is_string(), text("pending")) {
        ("", true, _) => "not_applicable",
        ("", false, "") => "none",
        ("", false, _) => "pending",
        (rung, ..) => rung,
    };
    let sees = match text("misses") {
        "" => rung.to_owned(),
        misses => format!("{rung}, but not {misses}"),
    };
    (format!("{}/{}", text("signal"), text("hook")), sees)
}
