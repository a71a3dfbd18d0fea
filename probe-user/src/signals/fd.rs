//! fd: file descriptors of every kind, of every process, against the limits on them. Polled: the
//! kernel's fd paths are too hot for a hook, and the leaks are slow.

use serde::Serialize;

use super::{Signal, trend::duration_label};
use crate::{decode::DecodeError, enrich::subject::Subject};

mod detect;
mod history;
mod rules;

use rules::{EXHAUSTED, LEAK};

pub static SIGNAL: Signal = Signal {
    wire: probe_common::wire::signal::FD,
    name: "fd",
    hooks: &[],
    kinds: &[],
    rules: &[&LEAK, &EXHAUSTED],
    // There is no kind that would get here.
    decode: |header, _| Err(DecodeError::UnknownKind(header.kind)),
    detector: |config| Box::new(detect::FdDetector::new(&config.fd)),
};

/// Whose fds are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One process, against its soft `RLIMIT_NOFILE`.
    #[default]
    Process,
    /// The whole node, against `fs.file-max`.
    Node,
}

/// The numbers of an fd finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FdEvidence {
    pub scope: Scope,
    /// Open fds; for the node, open files.
    pub open: u64,
    /// The limit on them; absent when unknown or unlimited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Growth over the history, by least squares (fds an hour).
    pub growth_per_hour: i64,
    /// How much of the ups and downs that line explains (percent).
    pub confidence_percent: u64,
    /// Time until 80 % of the limit are reached (s); absent when they do not rise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_80_percent: Option<u64>,
    /// Buckets of the history in which the number rose.
    pub rising_buckets: u64,
    /// Buckets there are.
    pub buckets: u64,
    /// Length of a bucket (s).
    pub bucket_seconds: u64,
    /// What they are, the fastest growing first; empty where nobody looked.
    pub kinds: Vec<KindEvidence>,
    /// One fd in so many was looked at for `kinds`, whose numbers are estimates when it is not 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds_sampled: Option<u64>,
    /// Opens that fail were not seen: that they must is inferred from the numbers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
}

/// The fds of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindEvidence {
    /// `tcp CLOSE-WAIT`, `bpf-map`, `eventfd`, `file`, ...
    pub kind: String,
    pub open: u64,
    /// Growth since they were first told apart (fds an hour); absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth_per_hour: Option<i64>,
    /// The directory that most files of this kind are in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

impl FdEvidence {
    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let text = match self.inferred {
            true => self.exhausted(subject),
            false => self.leak(subject),
        };
        text + &self.what()
    }

    fn leak(&self, subject: &Subject) -> String {
        let (open, rate) = (self.open, self.growth_per_hour);
        let who = match self.scope {
            Scope::Process => format!("{} holds {open} fds open", subject.process_label()),
            Scope::Node => format!("this node has {open} files open"),
        };
        let limit = match (self.limit, self.seconds_to_80_percent) {
            (Some(limit), Some(0)) => format!("; that is over 80 % of its limit of {limit}"),
            (Some(limit), Some(left)) => {
                format!("; 80 % of its limit of {limit} in {}", duration_label(left))
            }
            _ => String::new(),
        };
        format!("{who}, growing by {rate} an hour{limit}")
    }

    fn exhausted(&self, subject: &Subject) -> String {
        let (open, limit) = (self.open, self.limit.unwrap_or(0));
        let (who, errno) = match self.scope {
            Scope::Process => (
                format!(
                    "{} has {open} of its {limit} fds (soft RLIMIT_NOFILE) open",
                    subject.process_label()
                ),
                "EMFILE",
            ),
            Scope::Node => {
                (format!("this node has {open} of its {limit} files (fs.file-max) open"), "ENFILE")
            }
        };
        let fails = if open >= limit { "fails" } else { "will soon fail" };
        format!("{who}: each further open {fails} with {errno} (inferred from the numbers)")
    }

    /// What most of them are.
    fn what(&self) -> String {
        let Some(top) = self.kinds.first() else { return String::new() };
        let about = if self.kinds_sampled == Some(1) { "" } else { "about " };
        let directory =
            top.directory.as_ref().map_or_else(String::new, |path| format!(" below {path}"));
        let growth = match top.growth_per_hour {
            Some(rate @ 1..) => format!(", growing by {rate} an hour"),
            _ => String::new(),
        };
        format!("; {about}{} of them are {}{directory}{growth}", top.open, top.kind)
    }
}

#[cfg(test)]
mod tests;
