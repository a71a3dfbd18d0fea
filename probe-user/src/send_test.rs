//! `nodeprobe send-test`: one record to a sink, and what its backend makes of it.

use std::{
    path::PathBuf,
    process,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use thiserror::Error;

use crate::{
    config::{Config, span::Span},
    findings::{Severity, State, clock::boot_now},
    sinks::{
        Answer, Plan,
        backend::{Trouble, Verdict},
        record::{Kind, Meta, Record},
        runtime,
    },
};

/// What `--help` ends with.
pub const HELP: &str = "\
Examples:
  nodeprobe send-test --config /etc/nodeprobe.toml                one record to every sink
  nodeprobe send-test --config /etc/nodeprobe.toml --sink loki    to one
  nodeprobe send-test --config /etc/nodeprobe.toml --timeout 5s

The record is a finding of the rule nodeprobe-test with severity info, with an id of its own each time.
It goes past the sink's filter, its queue and its spool, and is tried once.

Exit codes:
  0  every backend took it
  1  one did not: its line says why
  2  wrong flags or configuration, or no such sink";

/// Its rule, which no detector has.
const RULE: &str = "nodeprobe-test";
/// Its signal, likewise.
const SIGNAL: &str = "nodeprobe";
const SUMMARY: &str = "this is a test of nodeprobe send-test: nothing happened on this node";
const ADVICE: &str = "Nothing is to be done: somebody tried out whether findings arrive.";

/// What the command line says.
#[derive(clap::Args)]
pub struct Args {
    /// Configuration file (TOML)
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name of the sink; without it, all that are configured
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// How long a backend may take to answer, in place of what is configured
    #[arg(long, value_name = "SPAN")]
    timeout: Option<Span>,
}

/// Why there is nothing to be tried.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NoSink {
    #[error("no sink is configured; name a file that has one with --config FILE")]
    None,
    #[error("there is no sink {name:?} in the configuration; there are {there}")]
    Unknown { name: String, there: String },
}

/// What a backend made of the record.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub taken: bool,
    /// The whole line.
    pub line: String,
}

/// Sends a record of its own to each sink that is asked for, one after the other.
///
/// # Errors
/// [`NoSink`] when there is none.
pub fn outcomes<'a>(
    args: &'a Args,
    config: &'a Config,
) -> Result<impl Iterator<Item = Outcome> + 'a, NoSink> {
    let sinks = &config.sinks.0;
    if let Some(name) = args.sink.as_ref().filter(|name| !sinks.contains_key(*name)) {
        let there: Vec<&str> = sinks.keys().map(String::as_str).collect();
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        return Err(NoSink::Unknown { name: name.clone(), there });
    }
    if sinks.is_empty() {
        return Err(NoSink::None);
    }
    let asked = sinks.iter().filter(|(name, _)| args.sink.as_ref().is_none_or(|one| one == *name));
    Ok(asked.map(|(name, sink)| {
        let timeout = args.timeout.map(Span::duration);
        let since = Instant::now();
        let answer = Plan::of(name, sink, &config.spool, false)
            .map_err(|error| error.to_string())
            .and_then(|plan| send(plan, timeout));
        line(name, since.elapsed(), answer)
    }))
}

/// Hands a record over as the sink itself would, once.
fn send(plan: Plan, timeout: Option<Duration>) -> Result<Answer, String> {
    let Plan { mut backend, policy, .. } = plan;
    let timeout = timeout.unwrap_or(policy.timeout);
    let runtime =
        runtime::of(backend.looks_up()).map_err(|error| format!("cannot start: {error}"))?;
    let batch = [Arc::new(record())];
    let sent =
        runtime.block_on(async { tokio::time::timeout(timeout, backend.send(&batch)).await });
    // A look-up may take as long as it likes.
    runtime.shutdown_background();
    sent.map_err(|_| format!("not taken: no answer within {} s", timeout.as_secs()))
}

fn line(name: &str, took: Duration, answer: Result<Answer, String>) -> Outcome {
    let said = answer.and_then(judge);
    let taken = said.is_ok();
    let words =
        said.map_or_else(|why| why, |said| format!("ok in {} ms: {said}", took.as_millis()));
    // What the other side says is not for the terminal to obey.
    let words: String =
        words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    Outcome { taken, line: format!("{name}: {words}") }
}

/// What the other side said when it took the record, or why it did not.
const LEFT_OUT: &str = "left out, by the sink's own bound on what it tells";

fn judge(answer: Answer) -> Result<String, String> {
    let later = |Trouble { reason, text }| {
        Err(format!("not taken ({}): {text}; the agent would try again", reason.label()))
    };
    let refused = |why| Err(format!("refused for good: {why}"));
    match answer {
        Answer::Taken { said } => Ok(said),
        Answer::Later { trouble, .. } => later(trouble),
        // It was one record.
        Answer::Refused(why) | Answer::TooLarge(why) | Answer::Partly { why, .. } => refused(why),
        Answer::LeftOut => Err(LEFT_OUT.into()),
        Answer::Over(why) => Err(format!("can never work: {why}")),
        Answer::Each(verdicts) => match verdicts.into_iter().next() {
            Some(Verdict::Taken) => Ok("taken".into()),
            Some(Verdict::Later(trouble)) => later(trouble),
            Some(Verdict::Refused(why)) => refused(why),
            Some(Verdict::LeftOut) => Err(LEFT_OUT.into()),
            None => Err("not taken: the answer tells of no record".into()),
        },
    }
}

/// Most of an answer that is shown (characters).
const LONGEST: usize = 1_000;

/// A finding that is none, in the form of those that come back from a spool.
fn record() -> Record {
    let at = Timestamp::now();
    let id = format!("{RULE}-{:x}-{:x}", process::id(), boot_now());
    let json = json!({
        "id": id,
        "revision": 1,
        "state": State::Firing,
        "signal": SIGNAL,
        "rule": RULE,
        "severity": Severity::Info,
        "summary": SUMMARY,
        "advice": ADVICE,
        "first_seen": at,
        "last_seen": at,
        "flaps": 0,
        "incident": { "id": id, "line": SUMMARY, "findings": 1 },
        "subject": {},
        "evidence": {},
    });
    let meta = Meta {
        id: format!("{id}-1"),
        kind: Kind::Finding,
        at,
        signal: SIGNAL.into(),
        rule: RULE.into(),
        severity: Severity::Info,
        state: Some(State::Firing),
        summary: SUMMARY.into(),
    };
    Record::of_json(meta, json.to_string())
}

#[cfg(test)]
mod tests;
