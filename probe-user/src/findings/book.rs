//! The book of findings: each condition fires once, is updated, and resolves. One that fires again
//! soon after its end goes on under its id, and when it does so too often it resolves late: who is
//! paged by it is paged a few times and not all night.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::{
    Condition, Finding, Severity, State,
    clock::Clock,
    episode::Episode,
    incident::{Incident, Incidents},
};
use crate::{
    config::findings::FindingsConfig, enrich::subject::Subject, event::BootNs,
    signals::bounded::Bounded,
};

/// Findings open at once; more are counted and dropped.
const MOST_OPEN: usize = 1_024;
/// Findings remembered after their end.
const MOST_RESOLVED: usize = 1_024;

/// A rule and its subject.
type Key = (&'static str, u64);

/// All findings that fire, and those that did until a while ago.
pub struct Book {
    config: FindingsConfig,
    open: FxHashMap<Key, Episode>,
    resolved: Bounded<Key, Episode>,
    incidents: Incidents,
    dropped: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self::new(&FindingsConfig::default())
    }
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(config: &FindingsConfig) -> Self {
        Self {
            open: FxHashMap::default(),
            resolved: Bounded::new(MOST_RESOLVED),
            incidents: Incidents::new(config.incident_window.ns()),
            config: config.clone(),
            dropped: 0,
        }
    }

    /// Goes by other settings from now on; what fires and what is remembered stays.
    pub fn reconfigure(&mut self, config: &FindingsConfig) {
        self.incidents.remember_for(config.incident_window.ns());
        self.config = config.clone();
    }

    /// Takes a condition that holds. Returns the finding when it must be sent: when it fires, also
    /// again, gets worse, or has not been sent for a minute.
    pub fn hold(
        &mut self,
        condition: Condition,
        clock: Clock,
        describe: impl FnOnce(&Condition) -> Subject,
    ) -> Option<Finding> {
        let (key, at) = ((condition.rule.name, condition.key), condition.at);
        if let Some(episode) = self.open.get_mut(&key) {
            if condition.severity > episode.finding.severity {
                // What made it worse may be somebody else.
                episode.finding.subject = describe(&condition);
                self.incidents.add(episode.incident, &condition, &episode.finding.subject);
            }
            self.incidents.renew(episode.incident, at);
            return episode.renew(condition).then(|| sent(episode, &mut self.incidents));
        }
        if self.open.len() >= MOST_OPEN {
            self.dropped += 1;
            return None;
        }
        let subject = describe(&condition);
        let again = self.resolved.remove(&key);
        let mut episode = match again.filter(|episode| episode.may_reopen(at, &self.config)) {
            Some(mut episode) => {
                episode.finding.subject = subject;
                self.incidents.add(episode.incident, &condition, &episode.finding.subject);
                episode.reopen(condition);
                episode
            }
            None => self.begin(condition, subject, clock),
        };
        let finding = sent(&mut episode, &mut self.incidents);
        self.open.insert(key, episode);
        Some(finding)
    }

    fn begin(&mut self, condition: Condition, subject: Subject, clock: Clock) -> Episode {
        let number = number(&condition);
        let incident = self.incidents.join(number, &condition, &subject);
        let finding = Finding {
            id: format!("{}-{number:016x}", condition.rule.name),
            revision: 1,
            state: State::Firing,
            signal: condition.rule.signal,
            rule: condition.rule.name,
            severity: condition.severity,
            summary: condition.evidence.summary(&subject),
            advice: condition.rule.advice,
            first_seen: clock.wall(condition.at),
            last_seen: clock.wall(condition.at),
            flaps: 0,
            incident: Incident::default(),
            subject,
            evidence: condition.evidence.clone(),
        };
        Episode::new(finding, incident, &condition, clock)
    }

    /// Resolves what has not held for its hold time, and forgets what resolved long ago.
    pub fn expire(&mut self, now: BootNs) -> Vec<Finding> {
        let (config, incidents) = (&self.config, &mut self.incidents);
        self.resolved.retain(|_, episode| episode.may_reopen(now, config));
        let mut resolved = Vec::new();
        for (key, mut episode) in self.open.extract_if(|_, episode| episode.is_over(now, config)) {
            episode.resolve(now);
            resolved.push(sent(&mut episode, incidents));
            self.resolved.entry(key, || episode);
        }
        incidents.expire(now);
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

    /// Findings and incidents kept: those that fire, and those remembered after their end.
    #[must_use]
    pub fn tracked(&self) -> usize {
        self.open.len() + self.resolved.len() + self.incidents.len()
    }

    /// Resolved findings and incidents forgotten early, for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.resolved.evicted() + self.incidents.evicted()
    }
}

/// The finding as it goes out, with its incident as far as that is known by now.
fn sent(episode: &mut Episode, incidents: &mut Incidents) -> Finding {
    if let Some(incident) = incidents.view(episode.incident) {
        episode.finding.incident = incident;
    }
    episode.finding.clone()
}

/// A hash of rule, subject and time: the same in every revision, unlike that of any other episode on this
/// node.
fn number(condition: &Condition) -> u64 {
    let mut hasher = FxHasher::default();
    (condition.rule.name, condition.key, condition.at).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
