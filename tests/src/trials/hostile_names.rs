//! A process and a cgroup whose names were chosen to forge lines and to steer terminals.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::agent::Agent;
use crate::expect::Expectation;
use crate::props::cgroup::PidsCgroup;
use crate::scenarios::fork_pids_max::fork_fail;
use crate::session::Setup;
use crate::trial::Trial;

/// The trial.
pub const TRIAL: Trial = Trial {
    name: "hostile-names",
    summary: "a process and a cgroup named with escapes, line ends and marks that turn writing cannot fork",
    expected: "fork-failures with their names as they are in JSON, and nothing that steers a terminal",
    own_guest: false,
    play: check,
};

/// Clears the screen and begins a line; as long as a name can be.
const COMM: &str = "\u{1b}[2Jx\nCRITICAL";
/// The kernel lets a cgroup have all of it but a line's end.
const CGROUP: &str = "\u{1b}]0;a\u{7}\u{9b}31m\u{202e}\"}\\pod";

fn check(setup: &Setup) -> Result<String> {
    let dir = tempfile::tempdir().context("cannot create a temporary directory")?;
    let (lines, capture) = (dir.path().join("lines"), dir.path().join("capture"));
    let sink = format!("[sinks.lines.file]\npath = \"{}\"\n", lines.display());
    let mut args = setup.agent_args.clone();
    args.extend(["--capture".into(), OsString::from(&capture)]);
    let agent = Agent::start(&setup.nodeprobe, &sink, &args, &setup.stage.reporter)?;
    let parent = PidsCgroup::create(8)?;
    let cgroup = parent.child(CGROUP)?;
    let (mut victim, _) = fork_fail(COMM, 12, &cgroup, "cgroup", &[])?;
    victim.done()?;
    let refused = Expectation::firing("fork-failures")
        .is("/subject/process/comm", COMM)
        .ends_with("/subject/cgroup/path", format!("/{CGROUP}"));
    let finding = agent.expect(&refused)?.finding;
    let summary = &finding.fields.summary;
    ensure!(is_plain(summary), "the summary is {summary:?}");
    drop(victim);
    agent.stop()?;
    let text = read(&lines)?;
    ensure!(text.lines().all(is_plain), "JSON has what steers a terminal: {text:?}");

    let mut replay = Command::new(&setup.nodeprobe);
    let shown = replay.arg("replay").arg(&capture).args(["-o", "human"]).output();
    let shown = shown.with_context(|| format!("cannot start {replay:?}"))?;
    let said = [shown.stdout, shown.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    ensure!(said[0].contains("fork-failures"), "the replay shows {said:?}");
    for said in said {
        ensure!(said.lines().all(is_plain), "a terminal would get {said:?}");
        let forged = said.lines().any(|line| line.starts_with("CRITICAL"));
        ensure!(!forged, "a name made a line: {said:?}");
    }
    Ok("their names are told whole, and steer nothing".to_owned())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether a line neither steers a terminal nor turns the direction of writing.
fn is_plain(line: &str) -> bool {
    !line.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
}
