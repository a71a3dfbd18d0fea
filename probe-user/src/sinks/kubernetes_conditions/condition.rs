//! A condition of the node: True while a finding of its rules fires that is a warning at least.

use std::{cmp::Reverse, num::NonZeroUsize, time::Duration};

use jiff::Timestamp;
use lru::LruCache;
use serde::Deserialize;
use serde_json::{Value, json};

use super::table::Kind;
use crate::{
    findings::{Severity, State},
    sinks::{
        kubernetes_events::encode::{reason, time},
        record::Record,
    },
    text::cut,
};

/// The least that makes a condition True.
const LEAST: Severity = Severity::Warning;
/// Findings that a condition is held by at most; one is enough.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);
/// A finding that is not heard of for so long is over: it is told again each minute while it holds, and its end
/// may have been lost.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// Longest message (characters).
const LONGEST_MESSAGE: usize = 1_000;

/// A condition.
pub struct Condition {
    kind: &'static Kind,
    /// What it is held by, by the finding's id.
    held: LruCache<String, Held>,
    /// As it was when it was last looked at.
    status: bool,
    since: Timestamp,
    /// What the node has, once it was told.
    told: Option<(bool, String)>,
}

/// A finding that fires.
struct Held {
    severity: Severity,
    rule: String,
    summary: String,
    /// When it held last.
    at: Timestamp,
}

/// A condition as the node has it (core/v1, `NodeCondition`).
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Known {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: String,
    pub last_transition_time: Option<Timestamp>,
}

impl Condition {
    /// One that nothing holds.
    #[must_use]
    pub fn of(kind: &'static Kind) -> Self {
        let (held, since) = (LruCache::new(MOST), Timestamp::now());
        Self { kind, held, status: false, since, told: None }
    }

    /// Takes in what a record says of it.
    pub fn hear(&mut self, record: &Record) {
        let meta = &record.meta;
        if !self.kind.rules.contains(&meta.rule.as_str()) {
            return;
        }
        let (severity, rule, at) = (meta.severity, meta.rule.clone(), meta.at);
        if meta.state == Some(State::Firing) && severity >= LEAST {
            let held = Held { severity, rule, summary: meta.summary.clone(), at };
            self.held.put(meta.finding().to_owned(), held);
        } else {
            self.held.pop(meta.finding());
        }
    }

    /// Looks whether it holds.
    pub fn look(&mut self, now: Timestamp) {
        let silent = |held: &Held| now.duration_since(held.at).unsigned_abs() > SILENCE;
        let over: Vec<_> = self.held.iter().filter(|(_, held)| silent(held)).collect();
        let over: Vec<_> = over.into_iter().map(|(finding, _)| finding.clone()).collect();
        for finding in over {
            self.held.pop(&finding);
        }
        let status = !self.held.is_empty();
        if status != self.status {
            self.status = status;
            self.since = now;
        }
    }

    /// Takes over when it became what it is, where the node knows that from an earlier agent.
    pub fn recall(&mut self, known: &[Known]) {
        let mut same = known.iter().filter(|known| known.kind == self.kind.name);
        let same = same.find(|known| known.status == self.status());
        self.since = same.and_then(|known| known.last_transition_time).unwrap_or(self.since);
    }

    /// Whether it is something else than the node has.
    #[must_use]
    pub fn is_news(&self) -> bool {
        let now = (self.status, self.reason());
        self.told.as_ref().is_none_or(|(status, reason)| (*status, reason) != (now.0, &now.1))
    }

    /// The node has it as it is.
    pub fn is_told(&mut self) {
        self.told = Some((self.status, self.reason()));
    }

    /// As the API has it.
    #[must_use]
    pub fn encode(&self, now: Timestamp) -> Value {
        let message = match self.worst() {
            None => format!("no finding of {}", self.kind.rules.join(", ")),
            Some(held) => {
                let summary = cut(&held.summary, LONGEST_MESSAGE);
                match self.held.len() - 1 {
                    0 => summary.to_owned(),
                    more => format!("{summary} (and {more} more)"),
                }
            }
        };
        json!({
            "type": self.kind.name,
            "status": self.status(),
            "reason": self.reason(),
            "message": message,
            "lastHeartbeatTime": time(now),
            "lastTransitionTime": time(self.since),
        })
    }

    /// `NAME=True`, for people.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}={}", self.kind.name, self.status())
    }

    fn status(&self) -> &'static str {
        if self.status { "True" } else { "False" }
    }

    fn reason(&self) -> String {
        self.worst().map_or_else(|| self.kind.quiet.to_owned(), |held| reason(&held.rule))
    }

    /// The worst that holds it, of several the first rule's by name: so that it does not go back and forth.
    fn worst(&self) -> Option<&Held> {
        let held = self.held.iter().map(|(_, held)| held);
        held.max_by_key(|held| (held.severity, Reverse((&held.rule, held.at))))
    }
}
