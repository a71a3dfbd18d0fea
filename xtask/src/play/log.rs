//! Verdicts as they come; what led to a failed one is printed with it.

use std::collections::VecDeque;

use scenarios::report::{Line, Verdict};

use crate::report::Show;

/// How much of what went before a failed verdict is shown.
const CONTEXT: usize = 20;

/// Where progress is told.
#[derive(Clone, Copy)]
pub enum Stream {
    /// Where the result is.
    Stdout,
    /// Beside a result that a program reads.
    Stderr,
}

impl Stream {
    /// Tells a line.
    pub fn say(self, text: &str) {
        match self {
            Self::Stdout => println!("{text}"),
            Self::Stderr => eprintln!("{text}"),
        }
    }
}

/// The log of one place where scenarios are played.
pub struct Log {
    place: String,
    stream: Stream,
    recent: VecDeque<String>,
}

impl Log {
    /// An empty one.
    pub fn new(place: &str, stream: Stream) -> Self {
        Self { place: place.to_owned(), stream, recent: VecDeque::new() }
    }

    fn remember(&mut self, text: String) {
        if self.recent.len() == CONTEXT {
            self.recent.pop_front();
        }
        self.recent.push_back(text);
    }

    /// Tells a verdict.
    pub fn verdict(&mut self, verdict: &Verdict) {
        let Verdict { scenario, pass, played, detail, latency_ms, skipped, .. } = verdict;
        let say = |text: String| self.stream.say(&text);
        let place = &self.place;
        if !*pass {
            say(format!("{place} {scenario} ... FAILED: {detail}"));
            self.recent.iter().for_each(|line| say(format!("    {line}")));
        } else if *played {
            let latency = latency_ms.map(|ms| format!(" ({ms} ms)")).unwrap_or_default();
            say(format!("{place} {scenario} ... ok{latency}"));
        } else {
            say(format!("{place} {scenario} ... skip"));
        }
        skipped.iter().for_each(|skip| say(format!("    {skip}")));
        self.recent.clear();
    }
}

impl Show for Log {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Progress { text } => self.remember(text.clone()),
            Line::Finding { finding } => self.remember(finding.to_string()),
            Line::Verdict(verdict) => self.verdict(verdict),
            Line::Stats(_) | Line::Hooks(_) | Line::Privileges(_) | Line::Done(_) => {}
        }
    }

    fn other(&mut self, text: &str) {
        self.stream.say(&format!("    {}: {text}", self.place));
    }

    fn may_restart(&self) -> bool {
        true
    }
}
