//! The report: what a run of scenarios says, one JSON object a line.

use std::fmt;
use std::io::Write;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::doctor::Hooks;
use crate::finding::Finding;
use crate::privileges::Privileges;

/// One line of the report.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// What is being done now, for a human to follow.
    Progress { text: String },
    /// A finding, exactly as the agent printed it.
    Finding { finding: Box<Finding> },
    /// How one scenario ended.
    Verdict(Verdict),
    /// What the doctor said of every hook.
    Hooks(Hooks),
    /// What the agent does without some capabilities.
    Privileges(Privileges),
    /// What the agent cost.
    Stats(Stats),
    /// The last line of a complete report.
    Done(Done),
}

/// How one scenario ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Verdict {
    pub scenario: String,
    pub pass: bool,
    /// What was found, or what was missing and the closest thing seen.
    pub detail: String,
    /// From the first bad act to the finding's arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding_id: Option<String>,
    /// The culprit the finding names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Whether any of it was played; what was not has passed nothing.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub played: bool,
    /// What was left out of it, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skip>,
}

/// A part of a scenario that was left out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Skip {
    /// Summary of the act or the control.
    pub part: String,
    pub kind: SkipKind,
    /// What was looked up and found lacking.
    pub reason: String,
}

/// How a part was left out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipKind {
    /// The machine lacks what it needs.
    NotPlayed,
    /// It was played, and on this rung the agent can say nothing of it: a finding is a false alarm.
    Unseen,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SkipKind::NotPlayed => "not played",
            SkipKind::Unseen => "nothing may be said",
        };
        write!(f, "{kind}: {}: {}", self.part, self.reason)
    }
}

fn yes() -> bool {
    true
}

// By reference, as serde asks.
fn is_true(value: &bool) -> bool {
    *value
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl Verdict {
    /// A verdict without a finding.
    pub fn new(scenario: &str, pass: bool, detail: String) -> Self {
        let (latency_ms, finding_id, who) = (None, None, None);
        let (played, skipped) = (true, Vec::new());
        Self {
            scenario: scenario.into(),
            pass,
            detail,
            latency_ms,
            finding_id,
            who,
            played,
            skipped,
        }
    }
}

/// What the agent cost, read while it was still running.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stats {
    /// From the ready line; absent when the line does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    pub rss_kib: u64,
    pub peak_rss_kib: u64,
}

/// The sum of the verdicts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Done {
    /// Scenarios of which all passed that was played, and something was.
    pub passed: usize,
    pub failed: usize,
    /// Parts of scenarios that were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: usize,
}

impl Done {
    /// One check that passed.
    pub const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    /// One check that failed.
    pub const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };

    /// What one verdict adds to the sum.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        let mut done = match (verdict.pass, verdict.played) {
            (false, _) => Self::FAILED,
            (true, true) => Self::PASSED,
            (true, false) => Self::default(),
        };
        done.skipped = verdict.skipped.len();
        done
    }
}

impl AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 { write!(f, ", {} skipped", self.skipped) } else { Ok(()) }
    }
}

/// Writes report lines, each whole and at once, from any thread.
#[derive(Clone)]
pub struct Reporter {
    out: Arc<Mutex<dyn Write + Send>>,
}

impl Reporter {
    /// A report on standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(std::io::stdout())
    }

    /// A report on any writer.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { out: Arc::new(Mutex::new(out)) }
    }

    /// Writes one line. A reader that went away is no reason to stop: the exit status still tells.
    pub fn line(&self, line: &Line) {
        let Ok(mut text) = serde_json::to_string(line) else { return };
        text.push('\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Says what is being done now.
    pub fn progress(&self, text: impl Into<String>) {
        self.line(&Line::Progress { text: text.into() });
    }
}

/// Reports verdicts as they are reached, and then their sum.
pub struct Tally {
    reporter: Reporter,
    done: Done,
}

impl Tally {
    /// An empty one.
    #[must_use]
    pub fn new(reporter: Reporter) -> Self {
        Self { reporter, done: Done::default() }
    }

    /// One more verdict.
    pub fn verdict(&mut self, verdict: Verdict) {
        self.done += Done::of(&verdict);
        self.reporter.line(&Line::Verdict(verdict));
    }

    /// Ends the report.
    #[must_use]
    pub fn finish(self) -> Done {
        self.reporter.line(&Line::Done(self.done));
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_documented_shape() {
        let done = Line::Done(Done { passed: 4, failed: 0, skipped: 0 });
        assert_eq!(
            serde_json::to_string(&done).unwrap(),
            r#"{"type":"done","passed":4,"failed":0}"#
        );
        let line = r#"{"type":"stats","ready_ms":84,"rss_kib":4400,"peak_rss_kib":4500}"#;
        let stats: Line = serde_json::from_str(line).unwrap();
        assert_eq!(
            stats,
            Line::Stats(Stats { ready_ms: Some(84), rss_kib: 4400, peak_rss_kib: 4500 })
        );
    }

    #[test]
    fn what_was_not_played_has_not_passed() {
        let mut verdict = Verdict::new("tc-agents", true, String::new());
        assert_eq!(Done::of(&verdict), Done::PASSED);
        let (part, reason) = ("two agents".to_owned(), "no veth".to_owned());
        verdict.skipped.push(Skip { part, kind: SkipKind::NotPlayed, reason });
        assert_eq!(Done::of(&verdict), Done { skipped: 1, ..Done::PASSED });
        verdict.played = false;
        assert_eq!(Done::of(&verdict).to_string(), "0 passed, 0 failed, 1 skipped");
        verdict.pass = false;
        assert_eq!(Done::of(&verdict).to_string(), "0 passed, 1 failed, 1 skipped");
        let line = serde_json::to_string(&verdict).unwrap();
        assert!(line.ends_with(
            r#""played":false,"skipped":[{"part":"two agents","kind":"not_played","reason":"no veth"}]}"#
        ));
        assert_eq!(serde_json::from_str::<Verdict>(&line).unwrap(), verdict);
    }
}
