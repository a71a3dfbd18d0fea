//! The report: what a run of scenarios says, one JSON object a line.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::finding::Finding;

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
}

impl Verdict {
    /// A verdict without a finding.
    pub fn new(scenario: &str, pass: bool, detail: String) -> Self {
        let (latency_ms, finding_id, who) = (None, None, None);
        Self { scenario: scenario.into(), pass, detail, latency_ms, finding_id, who }
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
    pub passed: usize,
    pub failed: usize,
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
        if verdict.pass {
            self.done.passed += 1;
        } else {
            self.done.failed += 1;
        }
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
        let done = Line::Done(Done { passed: 4, failed: 0 });
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
}
