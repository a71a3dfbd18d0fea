//! What the agent said so far, written by its readers and waited on by the scenarios.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::finding::Finding;

/// Lines of the agent's log kept for error reports.
const LOG_LINES: usize = 20;

/// A finding and when it came.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub finding: Finding,
    pub at: Moment,
}

/// What was said so far.
#[derive(Default)]
pub struct Seen {
    pub findings: Vec<Arrival>,
    pub ready: Option<String>,
    log: VecDeque<String>,
    strangers: Vec<String>,
    streams_ended: usize,
}

impl Seen {
    /// The latest line of the log with these words.
    pub fn logged(&self, words: &str) -> Option<String> {
        self.log.iter().rev().find(|line| line.contains(words)).cloned()
    }

    /// The process has closed the stream that nobody else has.
    const fn closing(&self) -> bool {
        self.streams_ended > 0
    }

    /// With both streams at their end, the reason for it is in the log.
    const fn ended(&self) -> bool {
        self.streams_ended == 2
    }
}

/// [`Seen`], shared.
#[derive(Default)]
pub struct Transcript {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Transcript {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// A finding was printed.
    pub fn arrived(&self, arrival: Arrival) {
        self.change(|seen| seen.findings.push(arrival));
    }

    /// Something else was printed where only findings belong.
    pub fn stranger(&self, line: String) {
        self.change(|seen| seen.strangers.push(line));
    }

    /// The agent logged a line.
    pub fn logged(&self, line: String) {
        self.change(|seen| {
            if line.starts_with("ready") && seen.ready.is_none() {
                seen.ready = Some(line.clone());
            }
            if seen.log.len() == LOG_LINES {
                seen.log.pop_front();
            }
            seen.log.push_back(line);
        });
    }

    /// One of the agent's two output streams ended.
    pub fn end_of_stream(&self) {
        self.change(|seen| seen.streams_ended += 1);
    }

    /// Waits until `look` sees something, the agent ends, or the time is up.
    pub fn wait<T>(
        &self,
        at_most: Duration,
        mut look: impl FnMut(&Seen) -> Option<T>,
    ) -> Option<T> {
        let mut sight = None;
        let waiting = self.changed.wait_timeout_while(self.lock(), at_most, |seen| {
            sight = look(seen);
            sight.is_none() && !seen.ended()
        });
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
        sight
    }

    /// Whether one of the agent's streams has ended, and so all that it had to say was said.
    pub fn closing(&self) -> bool {
        self.lock().closing()
    }

    /// Whether the agent's output has ended.
    pub fn ended(&self) -> bool {
        self.lock().ended()
    }

    /// All findings and updates.
    pub fn findings(&self) -> Vec<Finding> {
        self.lock().findings.iter().map(|arrival| arrival.finding.clone()).collect()
    }

    /// The first line on standard output that was no finding.
    pub fn first_stranger(&self) -> Option<String> {
        self.lock().strangers.first().cloned()
    }

    /// The end of the log, to be appended to an error.
    pub fn log_tail(&self) -> String {
        let seen = self.lock();
        if seen.log.is_empty() {
            return "; the agent logged nothing".into();
        }
        let lines: Vec<&str> = seen.log.iter().map(String::as_str).collect();
        format!("; the agent's log ends with:\n{}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_agent() {
        let transcript = Transcript::default();
        transcript.logged("ready in 3 ms".into());
        assert_eq!(
            transcript.wait(Duration::MAX, |seen| seen.ready.clone()).as_deref(),
            Some("ready in 3 ms")
        );
        transcript.end_of_stream();
        transcript.end_of_stream();
        assert!(transcript.wait(Duration::MAX, |seen| seen.findings.first().cloned()).is_none());
    }

    #[test]
    fn only_the_end_of_the_log_is_kept() {
        let transcript = Transcript::default();
        (0..100).for_each(|number| transcript.logged(format!("line {number}")));
        let tail = transcript.log_tail();
        assert!(tail.contains("line 80") && tail.ends_with("line 99") && !tail.contains("line 79"));
    }
}
