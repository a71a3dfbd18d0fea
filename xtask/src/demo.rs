//! `cargo xtask demo`: the incidents, played in a guest and found while one watches.

use std::{fs, path::Path};

use anstyle::{AnsiColor, Style};
use anyhow::Result;
use clap::{Args, ValueEnum, builder::PossibleValuesParser};
use comfy_table::{Table, TableComponent, presets::NOTHING};
use scenarios::{
    finding::{Finding, Severity, State},
    report::{Line, Verdict},
    trial,
};

use crate::{
    artifacts, kernel,
    play::variant::PLAIN,
    report::{self, Report, Show},
    run, setup,
};

/// What `demo` is asked for.
#[derive(Args)]
pub struct Demo {
    /// How findings are printed: for people, or as JSON lines and nothing else
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// The series of the guest's kernel
    #[arg(long, default_value = "6.1", value_parser = PossibleValuesParser::new(kernel::all_series()))]
    kernel: String,
    /// The agent as a container of the DaemonSet, and the incidents in other pods
    #[arg(long)]
    kubernetes: bool,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Output {
    Human,
    Json,
}

/// What is played with `--kubernetes`.
const KUBERNETES: [&str; 2] = ["run", trial::KUBERNETES];

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

impl Demo {
    /// Plays the incidents; returns 0 when all were found and nothing else was.
    pub fn run(self) -> Result<i32> {
        setup::ensure()?;
        let artifacts = artifacts::build()?;
        let kernel = kernel::get(&self.kernel)?;
        eprintln!("==> booting kernel {} in QEMU", kernel.release);
        let mut screen = Screen { output: self.output, findings: 0 };
        let words: &[&str] = if self.kubernetes { &KUBERNETES } else { &["demo"] };
        let report = report::in_guest(words, &[], &kernel, &PLAIN, &artifacts, &mut screen)?;
        let count = report.count();
        let summary = summary(&report, &artifacts.agent)?;
        // JSON readers get findings only.
        match self.output {
            Output::Human => anstream::print!("\n{summary}"),
            Output::Json => anstream::eprint!("{summary}"),
        }
        Ok(i32::from(count.failed > 0 || count.passed == 0))
    }
}

/// Shows findings on standard output as they come, everything else on standard error.
struct Screen {
    output: Output,
    findings: usize,
}

impl Show for Screen {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Progress { text } => anstream::eprintln!("{DIM}    {text}{DIM:#}"),
            Line::Finding { finding } => {
                self.findings += 1;
                match self.output {
                    Output::Human => anstream::println!("{}", human(finding)),
                    Output::Json => println!("{}", finding.raw()),
                }
            }
            Line::Verdict(Verdict { pass: false, scenario, detail, .. }) => {
                anstream::eprintln!("{RED}MISSED{RED:#} {scenario}: {detail}");
            }
            Line::Verdict(_)
            | Line::Hooks(_)
            | Line::Privileges(_)
            | Line::Stats(_)
            | Line::Done(_) => {}
        }
    }

    fn other(&mut self, text: &str) {
        anstream::eprintln!("{DIM}    guest: {text}{DIM:#}");
    }

    fn may_restart(&self) -> bool {
        self.findings == 0
    }
}

/// What the agent says when it is ready on this host's own kernel; without root, why it cannot tell.
fn on_this_host(agent: &Path) -> Result<String> {
    const SECONDS: &str = "2";
    let Some(mut timeout) = run::as_root("timeout").filter(|_| run::can_be_root()) else {
        return Ok("not tried without root".to_owned());
    };
    let output = timeout
        .args(["--signal=TERM", SECONDS])
        .arg(agent)
        .args(["run", "--output", "json", "--listen", "none"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let ready = said.lines().find(|line| line.starts_with("ready"));
    Ok(ready.or(said.lines().next()).unwrap_or("it says nothing").to_owned())
}

fn human(finding: &Finding) -> String {
    let fields = &finding.fields;
    let (style, word) = match (fields.state, fields.severity) {
        (State::Resolved, _) => (GREEN, "resolved".to_owned()),
        (State::Firing, Severity::Critical) => (RED, fields.severity.to_string()),
        (State::Firing, Severity::Warning) => (YELLOW, fields.severity.to_string()),
        (State::Firing, Severity::Info) => (BLUE, fields.severity.to_string()),
    };
    let mut text =
        format!("{style}{word}{style:#} {BOLD}{}{BOLD:#} {}", fields.rule, fields.summary);
    // Advice is for the first sight of it.
    if fields.state == State::Firing && fields.revision <= 1 {
        text.push_str(&format!("\n         {DIM}{}{DIM:#}", fields.advice));
    }
    text
}

fn summary(report: &Report, agent: &Path) -> Result<String> {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_style(TableComponent::HeaderLines, '─');
    table.set_header(["incident", "finding", "who", "latency", ""]);
    for verdict in &report.verdicts {
        let found = verdict.finding_id.as_ref().and_then(|id| report.findings.get(id));
        let finding = found.map_or_else(
            || verdict.detail.clone(),
            |finding| format!("{} ({})", finding.fields.rule, finding.fields.severity),
        );
        table.add_row([
            verdict.scenario.clone(),
            finding,
            verdict.who.clone().unwrap_or_default(),
            verdict.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
            if verdict.pass { "ok" } else { "FAILED" }.to_owned(),
        ]);
    }
    let mut text = format!("{}\n", table.trim_fmt());
    if let Some(stats) = report.stats {
        let mib = |kib: u64| format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024);
        let ready = stats.ready_ms.map(|ms| format!(", ready in {ms} ms")).unwrap_or_default();
        text.push_str(&format!(
            "agent: {} RSS (peak {}){ready}, binary {}\n",
            mib(stats.rss_kib),
            mib(stats.peak_rss_kib),
            mib(fs::metadata(agent)?.len() / 1024),
        ));
    }
    text.push_str(&format!("this host: {}\n", on_this_host(agent)?));
    let count = report.count();
    let style = if count.failed == 0 { GREEN } else { RED };
    text.push_str(&format!("{style}{count}{style:#}\n"));
    Ok(text)
}
