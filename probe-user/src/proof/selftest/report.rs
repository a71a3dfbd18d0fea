//! What the selftest says.

use std::fmt::Write;

use serde::Serialize;

use super::{
    outcome::{Link, Outcome, State},
    trial::TRIALS,
};
use crate::{
    config::span::Span,
    probe::{coverage::Coverage, hook::Rung},
    signals::SIGNALS,
};

/// All of it; `-o json` prints it as it is.
#[derive(Serialize)]
pub struct Report {
    /// Whether every signal that is provoked was confirmed.
    pub confirmed: bool,
    /// `uname -r`.
    kernel: String,
    /// Longest time allowed from an act to its finding at the sink (ms).
    within_ms: u64,
    signals: Vec<Outcome>,
    /// Signals that it does not provoke.
    not_provoked: Vec<&'static str>,
    /// Hooks that no rung carries; they do not count, but see nothing.
    not_covered: Vec<Gap>,
}

/// A hook that sees nothing.
#[derive(Serialize)]
struct Gap {
    signal: &'static str,
    hook: &'static str,
    sees: &'static str,
    why: String,
}

impl Report {
    /// Sums up.
    #[must_use]
    pub fn new(
        kernel: String,
        within: Span,
        (signals, coverage): (Vec<Outcome>, Vec<Coverage>),
    ) -> Self {
        let provoked = |name| TRIALS.iter().any(|trial| trial.signal.name == name);
        Self {
            confirmed: signals.iter().all(|outcome| outcome.state == State::Confirmed),
            kernel,
            within_ms: within.ns() / 1_000_000,
            signals,
            not_provoked: SIGNALS
                .iter()
                .map(|signal| signal.name)
                .filter(|name| !provoked(*name))
                .collect(),
            not_covered: coverage.iter().filter(|hook| !hook.is_covered()).map(gap).collect(),
        }
    }

    /// A few lines a signal.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = format!("kernel {}\n\n", self.kernel);
        for outcome in &self.signals {
            outcome.write(&mut text);
        }
        for Gap { signal, hook, sees, why } in &self.not_covered {
            let _ = writeln!(text, "not covered: {signal}/{hook}: cannot see {sees} ({why})");
        }
        let _ = writeln!(text, "not provoked: {}", self.not_provoked.join(", "));
        let of = self.signals.len();
        let confirmed = self.signals.iter().filter(|one| one.state == State::Confirmed).count();
        let within = self.within_ms;
        let _ = writeln!(text, "{confirmed} of {of} confirmed within {within} ms");
        text
    }
}

fn gap(hook: &Coverage) -> Gap {
    Gap { signal: hook.signal.name, hook: hook.hook.name, sees: hook.hook.sees, why: hook.why() }
}

impl Outcome {
    fn write(&self, text: &mut String) {
        let state = match (self.state, self.took_ms, self.broke_at) {
            (State::Confirmed, Some(ms), _) => format!("confirmed in {ms} ms"),
            (State::Confirmed, None, _) => "confirmed".into(),
            (State::NotCovered, ..) => "NOT COVERED".into(),
            (State::Failed, _, at) => format!("FAILED at {}", at.map_or("", Link::name)),
        };
        let rung = self.rung.map_or("no rung", Rung::name);
        let held: Vec<_> = self.held.iter().map(|link| link.name()).collect();
        let broke = self.broke_at.map(|link| format!("{} BROKE", link.name()));
        let chain: Vec<&str> = held.into_iter().chain(broke.as_deref()).collect();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}/{} on {rung}: {state}", self.signal, self.hook);
        let _ = writeln!(text, "  {}, for {}", self.act, self.rule);
        let _ = writeln!(text, "  {}", chain.join(" -> "));
        if !self.why.is_empty() {
            let _ = writeln!(text, "  {}", self.why);
        }
        if !self.misses.is_empty() {
            let _ = writeln!(text, "  this rung does not see {}", self.misses);
        }
        text.push('\n');
    }
}
