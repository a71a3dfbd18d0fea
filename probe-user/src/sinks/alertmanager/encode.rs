//! A finding as an alert: what it is filed and silenced by as labels, what is for people as annotations.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    findings::State,
    sinks::{facts::Facts, labels::Labels, record::Record},
};

/// The label that names the finding: the same through all its revisions.
const FINDING: &str = "finding";
/// Shortest that an alert can last: Alertmanager refuses one that ends when it starts.
const SHORTEST: Duration = Duration::from_millis(1);

/// An alert, as `POST /api/v2/alerts` takes it (api/v2/openapi.yaml of Alertmanager).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What it is: two with the same labels are one alert.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<&'static str, String>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    #[serde(skip)]
    pub firing: bool,
}

impl Alert {
    /// Of a finding; `ends_at` is when its alert ends unless it is heard of again. `None` for an event.
    pub fn of(record: &Record, node: &str, own: &Labels, ends_at: Timestamp) -> Option<Self> {
        let state = record.meta.state?;
        let (meta, facts) = (&record.meta, Facts::of(record));
        let starts_at = facts.first_seen.unwrap_or(meta.at);
        let id = facts.id.clone().unwrap_or_else(|| meta.id.clone());
        let fixed = [
            ("alertname", meta.rule.as_str()),
            ("severity", meta.severity.name()),
            ("signal", &meta.signal),
            ("node", node),
            (FINDING, &id),
        ];
        let place = facts.place().into_iter().filter_map(|(name, value)| Some((name, value?)));
        let labels = own.0.iter().map(|(name, value)| (name.clone(), value.clone()));
        let told = fixed.into_iter().chain(place);
        let labels = labels.chain(told.map(|(name, value)| (name.to_owned(), value.to_owned())));
        // An empty label is none (Prometheus).
        let labels = labels.filter(|(_, value)| !value.is_empty()).collect();
        let incident = facts.incident.map(|incident| incident.line);
        let notes = [
            ("summary", Some(meta.summary.clone())),
            ("advice", facts.advice),
            ("incident", incident),
        ];
        let firing = state == State::Firing;
        let ends_at = if firing { ends_at } else { facts.last_seen.unwrap_or(meta.at) };
        Some(Self {
            labels,
            annotations: notes.into_iter().filter_map(|(name, note)| Some((name, note?))).collect(),
            starts_at,
            ends_at: ends_at.max(starts_at + SHORTEST),
            firing,
        })
    }

    /// Id of its finding.
    pub fn finding(&self) -> &str {
        self.labels.get(FINDING).map_or("", String::as_str)
    }

    /// The end of what the same finding was under other labels.
    pub fn ended_as(&self, labels: BTreeMap<String, String>, now: Timestamp) -> Self {
        let ends_at = if self.firing { now } else { self.ends_at };
        let ends_at = ends_at.max(self.starts_at + SHORTEST);
        Self { labels, ends_at, firing: false, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::testing::{is_plain, records};

    #[test]
    fn names_are_labels_as_they_are_and_notes_are_on_one_line() {
        for (name, record) in records() {
            let alert = Alert::of(&record, name, &Labels::default(), Timestamp::now()).unwrap();
            let json: serde_json::Value = serde_json::to_value(&alert).unwrap();
            for label in ["node", "namespace", "pod", "container"] {
                assert_eq!(json["labels"][label], name);
            }
            assert_eq!(alert.labels.len(), 8);
            assert!(alert.annotations.values().all(|note| is_plain(note)), "{alert:?}");
        }
    }
}
