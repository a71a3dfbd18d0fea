//! The book of findings: each condition fires once, is updated, and resolves.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::{Condition, Finding, Severity, State, clock::Clock};
use crate::{enrich::subject::Subject, event::BootNs};

/// Findings open at once; more are counted and dropped.
const MOST_OPEN: usize = 1_024;
/// Least time between two updates of one finding that did not get worse (ns).
const UPDATE_EVERY: u64 = 60_000_000_000;

/// All findings that fire.
#[derive(Default)]
pub struct Book {
    open: FxHashMap<(&'static str, u64), Episode>,
    dropped: u64,
}

struct Episode {
    finding: Finding,
    held_at: BootNs,
    sent_at: BootNs,
    hold: u64,
}

impl Book {
    /// Takes a condition that holds. Returns the finding when it must be sent: when it fires, gets
    /// worse, or has not been sent for a minute.
    pub fn hold(
        &mut self,
        condition: Condition,
        clock: Clock,
        describe: impl FnOnce(&Condition) -> Subject,
    ) -> Option<Finding> {
        let key = (condition.rule.name, condition.key);
        if let Some(episode) = self.open.get_mut(&key) {
            return episode.renew(condition, clock, describe);
        }
        if self.open.len() >= MOST_OPEN {
            self.dropped += 1;
            return None;
        }
        let subject = describe(&condition);
        let finding = Finding {
            id: id(&condition),
            revision: 1,
            state: State::Firing,
            signal: condition.rule.signal,
            rule: condition.rule.name,
            severity: condition.severity,
            summary: condition.evidence.summary(&subject),
            advice: condition.rule.advice,
            first_seen: clock.wall(condition.at),
            last_seen: clock.wall(condition.at),
            subject,
            evidence: condition.evidence,
        };
        let episode = Episode {
            finding: finding.clone(),
            held_at: condition.at,
            sent_at: condition.at,
            hold: condition.hold,
        };
        self.open.insert(key, episode);
        Some(finding)
    }

    /// Resolves what has not held for its hold time.
    pub fn expire(&mut self, now: BootNs) -> Vec<Finding> {
        let mut resolved: Vec<Finding> = self
            .open
            .extract_if(|_, episode| now.saturating_sub(episode.held_at) > episode.hold)
            .map(|(_, episode)| episode.resolve())
            .collect();
        resolved.sort_by(|a, b| a.id.cmp(&b.id));
        resolved
    }

    /// Findings of a rule that fire now, by severity.
    #[must_use]
    pub fn firing(&self, rule: &str, severity: Severity) -> usize {
        let of_rule = self.open.values().filter(|episode| episode.finding.rule == rule);
        of_rule.filter(|episode| episode.finding.severity == severity).count()
    }

    /// Findings that had no room.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Episode {
    fn renew(
        &mut self,
        condition: Condition,
        clock: Clock,
        describe: impl FnOnce(&Condition) -> Subject,
    ) -> Option<Finding> {
        let worse = condition.severity > self.finding.severity;
        if worse {
            // What made it worse may be somebody else.
            self.finding.subject = describe(&condition);
        }
        self.held_at = self.held_at.max(condition.at);
        self.finding.severity = self.finding.severity.max(condition.severity);
        self.finding.summary = condition.evidence.summary(&self.finding.subject);
        self.finding.evidence = condition.evidence;
        self.finding.last_seen = clock.wall(self.held_at);
        if !worse && condition.at.saturating_sub(self.sent_at) < UPDATE_EVERY {
            return None;
        }
        self.sent_at = condition.at;
        self.finding.revision += 1;
        Some(self.finding.clone())
    }

    fn resolve(mut self) -> Finding {
        self.finding.state = State::Resolved;
        self.finding.revision += 1;
        self.finding
    }
}

/// The rule and a hash of what and when: the same in every revision, unlike that of any other
/// episode on this node.
fn id(condition: &Condition) -> String {
    let mut hasher = FxHasher::default();
    (condition.key, condition.at).hash(&mut hasher);
    format!("{}-{:016x}", condition.rule.name, hasher.finish())
}

#[cfg(test)]
mod tests;
