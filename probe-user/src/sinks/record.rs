//! What a sink carries: a finding or an event, with what any backend needs to file it.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    findings::{Finding, Severity, State},
    stream::Told,
    text,
};

/// Whether it is a judgement or an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A rule that holds, or no longer holds.
    Finding,
    /// Something a hook told of, or a sum of such.
    Event,
}

impl Kind {
    /// The kind as a label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Event => "event",
        }
    }
}

/// What every backend files a record by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The same each time the record is sent, and of no other: backends can leave doubles out.
    pub id: String,
    pub kind: Kind,
    /// When it was so, by the node's calendar.
    pub at: Timestamp,
    pub signal: String,
    /// The rule of a finding; of an event its kind.
    pub rule: String,
    pub severity: Severity,
    /// `None` for an event.
    pub state: Option<State>,
    /// One sentence.
    pub summary: String,
}

impl Meta {
    /// The id of the finding that it is a revision of; its own where it is none.
    #[must_use]
    pub fn finding(&self) -> &str {
        match (self.state, self.id.rsplit_once('-')) {
            (Some(_), Some((finding, _))) => finding,
            _ => &self.id,
        }
    }

    /// What a message broker shows of a record beside its JSON, by name.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, &str); 4] {
        let kind = match self.kind {
            Kind::Finding => "finding",
            Kind::Event => "event",
        };
        let severity = self.severity.name();
        [("kind", kind), ("signal", &self.signal), ("rule", &self.rule), ("severity", severity)]
    }
}

/// A record on its way to one or more sinks.
#[derive(Debug)]
pub struct Record {
    pub meta: Meta,
    what: What,
    /// Made when first asked for, by whichever sink asks.
    json: OnceLock<String>,
}

/// What it is of.
#[derive(Debug)]
enum What {
    /// For as long as the record never left memory.
    Finding(Box<Finding>),
    Event(Box<Event>),
    /// There is only its JSON.
    Stored,
}

impl Record {
    /// A revision of a finding.
    #[must_use]
    pub fn of_finding(finding: Finding) -> Self {
        let meta = Meta {
            id: format!("{}-{}", finding.id, finding.revision),
            kind: Kind::Finding,
            at: finding.last_seen,
            signal: finding.signal.into(),
            rule: finding.rule.into(),
            severity: finding.severity,
            state: Some(finding.state),
            summary: finding.summary.clone(),
        };
        Self { meta, what: What::Finding(Box::new(finding)), json: OnceLock::new() }
    }

    /// An event as a hook told it.
    #[must_use]
    pub fn of_event(meta: Meta, event: Event) -> Self {
        Self { meta, what: What::Event(Box::new(event)), json: OnceLock::new() }
    }

    /// One whose JSON is known: a sum of events, or what comes back from a disk.
    #[must_use]
    pub fn of_json(meta: Meta, json: String) -> Self {
        Self { meta, what: What::Stored, json: OnceLock::from(json) }
    }

    /// The finding, unless the record was stored in between.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match &self.what {
            What::Finding(finding) => Some(finding),
            What::Event(_) | What::Stored => None,
        }
    }

    /// All of it as one JSON object without a newline, or any other character that would steer a terminal.
    #[must_use]
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| {
            let json = match &self.what {
                What::Finding(finding) => text::json(finding.as_ref()),
                What::Event(event) => text::json(&Told::new(&self.meta, event)),
                What::Stored => Ok(String::new()),
            };
            // There are string keys only, which is all that serialization can fail of.
            json.unwrap_or_else(|_| "{}".into())
        })
    }

    /// Size (bytes) that limits of batches and stores go by.
    #[must_use]
    pub fn size(&self) -> usize {
        self.json().len() + self.meta.summary.len() + self.meta.id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::testing::finding;

    #[test]
    fn a_revision_has_an_id_of_its_own() {
        let mut finding = finding();
        let first = Record::of_finding(finding.clone());
        finding.revision += 1;
        let second = Record::of_finding(finding.clone());
        assert_ne!(first.meta.id, second.meta.id);
        assert_eq!(first.meta.id, format!("{}-1", finding.id));
        assert_eq!((first.meta.finding(), second.meta.finding()), (&*finding.id, &*finding.id));
    }

    #[test]
    fn json_is_the_finding() {
        let record = Record::of_finding(finding());
        let json: serde_json::Value = serde_json::from_str(record.json()).unwrap();
        assert_eq!(json["rule"], "fork-failures");
        assert!(!record.json().contains('\n'));
        let stored = Record::of_json(record.meta.clone(), record.json().to_owned());
        assert_eq!((stored.json(), stored.size()), (record.json(), record.size()));
        assert!(stored.finding().is_none());
    }
}
