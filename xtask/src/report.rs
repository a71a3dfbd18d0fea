//! Receiving a scenario run's report, from a guest or from this host.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use scenarios::{
    doctor::Hooks,
    finding::Finding,
    privileges::Privileges,
    report::{Done, Line, Stats, Verdict},
};

use crate::{
    artifacts::Artifacts,
    guest::{self, Guest, Listener},
    kernel::Kernel,
    play::variant::Variant,
};

/// Longer than any scenario waits for anything in a guest before it gives up by itself.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a run has reported so far.
#[derive(Default)]
pub struct Report {
    /// How each scenario ended.
    pub verdicts: Vec<Verdict>,
    /// Findings by id, each in its newest revision.
    pub findings: BTreeMap<String, Finding>,
    /// What the doctor said of every hook, for each rung it was asked about.
    pub hooks: Vec<Hooks>,
    /// What the agent does without some capabilities.
    pub privileges: Vec<Privileges>,
    /// What the agent cost.
    pub stats: Option<Stats>,
    /// The run's own sum; a run without it broke off.
    pub done: Option<Done>,
}

/// What to do with a report's lines as they come.
pub trait Show {
    /// One line of the report.
    fn line(&mut self, line: &Line);
    /// Something that is no report line, such as a panic message.
    fn other(&mut self, text: &str);
    /// Whether a hung guest may start anew after what was shown.
    fn may_restart(&self) -> bool;
}

struct Receiver<'a> {
    report: Report,
    show: &'a mut dyn Show,
}

impl Listener for Receiver<'_> {
    fn line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        match serde_json::from_str::<Line>(text) {
            Ok(line) => {
                self.show.line(&line);
                self.report.add(line);
            }
            Err(_) => self.show.other(text),
        }
    }

    fn restart(&mut self) -> bool {
        self.report = Report::default();
        self.show.may_restart()
    }
}

impl Report {
    fn add(&mut self, line: Line) {
        match line {
            Line::Progress { .. } => {}
            Line::Finding { finding } => {
                self.findings.insert(finding.fields.id.clone(), *finding);
            }
            Line::Verdict(verdict) => self.verdicts.push(verdict),
            Line::Hooks(hooks) => self.hooks.push(hooks),
            Line::Privileges(privileges) => self.privileges.push(privileges),
            Line::Stats(stats) => self.stats = Some(stats),
            Line::Done(done) => self.done = Some(done),
        }
    }

    /// Passed and failed scenarios; a run that broke off counts as one more failure.
    pub fn count(&self) -> Done {
        let mut count = Done::default();
        self.verdicts.iter().for_each(|verdict| count += Done::of(verdict));
        if self.done != Some(count) {
            count.failed += 1;
        }
        count
    }
}

/// Runs `scenario ARGS` in a guest of a kind, with further arguments for the agent.
pub fn in_guest(
    args: &[&str],
    agent_args: &[&str],
    kernel: &Kernel,
    variant: &Variant,
    artifacts: &Artifacts,
    show: &mut dyn Show,
) -> Result<Report> {
    let words = [guest::SCENARIO].iter().chain(args);
    let files = ["--nodeprobe", guest::AGENT, "--classifier", guest::CLASSIFIER];
    let words = words
        .chain(&files)
        .chain(&["--"])
        .chain(agent_args)
        .map(|word| (*word).to_owned())
        .collect();
    let guest = Guest {
        patience: Some(PATIENCE),
        cgroups: variant.cgroups,
        memory: variant.memory,
        cpus: variant.cpus,
        append: variant.append.to_owned(),
        ..Guest::new(kernel, words)
    };
    let mut receiver = Receiver { report: Report::default(), show };
    guest.run(artifacts, &mut receiver)?;
    Ok(receiver.report)
}

/// Runs `scenario ARGS` on this host; `command` is how to become root.
pub fn on_host(
    mut command: Command,
    args: &[&str],
    artifacts: &Artifacts,
    show: &mut dyn Show,
) -> Result<Report> {
    command.args(args).arg("--nodeprobe").arg(&artifacts.agent);
    command.arg("--classifier").arg(&artifacts.classifier);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the scenarios")?;
    let mut output = BufReader::new(child.stdout.take().context("the scenarios have no output")?);
    let mut receiver = Receiver { report: Report::default(), show };
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        receiver.line(&line);
        line.clear();
    }
    let status = child.wait()?;
    if receiver.report.done.is_none() {
        bail!("the scenarios broke off ({status})");
    }
    Ok(receiver.report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(pass: bool) -> Line {
        Line::Verdict(Verdict::new("quiet", pass, String::new()))
    }

    #[test]
    fn a_report_without_its_end_is_a_failure() {
        let mut report = Report::default();
        assert_eq!(report.count(), Done::FAILED);
        report.add(verdict(true));
        report.add(verdict(false));
        assert_eq!(report.count(), Done { passed: 1, failed: 2, skipped: 0 });
        report.add(Line::Done(Done { passed: 1, failed: 1, skipped: 0 }));
        assert_eq!(report.count(), Done { passed: 1, failed: 1, skipped: 0 });
    }
}
