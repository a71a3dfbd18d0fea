//! Findings as alerts of Alertmanager, by its API v2. A finding that holds is sent again every minute, as
//! to every sink, which is what keeps its alert from ending.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use hyper::header::HeaderMap;
use jiff::Timestamp;
use lru::LruCache;

use super::{
    Backend,
    backend::{Answer, Sending},
    labels::Labels,
    record::Record,
};
use crate::net::http::{Client, Post};

pub mod config;
mod encode;

use encode::Alert;

/// Findings whose labels are remembered. The agent has fewer open.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4_095);

/// The far side of Alertmanager.
pub struct AlertmanagerBackend {
    client: Client,
    node: String,
    /// Labels of every alert.
    own: Labels,
    /// How long an alert lasts that is not sent again.
    ends_after: Duration,
    /// The labels that each finding fires under, by its id: Alertmanager takes other labels, as of a
    /// finding that got worse, for another alert.
    firing: LruCache<String, BTreeMap<String, String>>,
}

impl AlertmanagerBackend {
    /// The alerts of a batch: the newest of each finding, behind the end of what it was before.
    fn alerts(&self, batch: &[Arc<Record>], now: Timestamp) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = Vec::new();
        for record in batch {
            let Some(alert) = Alert::of(record, &self.node, &self.own, now + self.ends_after)
            else {
                continue;
            };
            let older = alerts.iter().rev().find(|other| other.finding() == alert.finding());
            let before = older.map(|older| &older.labels).or(self.firing.peek(alert.finding()));
            let before = before.filter(|before| **before != alert.labels);
            let superseded = before.map(|before| alert.ended_as(before.clone(), now));
            // Of two with the same labels the newer one is meant.
            for newer in superseded.into_iter().chain([alert]) {
                alerts.retain(|other| other.labels != newer.labels);
                alerts.push(newer);
            }
        }
        alerts
    }

    /// Remembers what fires now, and forgets what ended.
    fn remember(&mut self, alerts: Vec<Alert>) {
        for alert in alerts {
            let finding = alert.finding().to_owned();
            if alert.firing {
                self.firing.put(finding, alert.labels);
            } else if self.firing.peek(&finding) == Some(&alert.labels) {
                self.firing.pop(&finding);
            }
        }
    }
}

impl Backend for AlertmanagerBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let alerts = self.alerts(batch, Timestamp::now());
            if alerts.is_empty() {
                return Answer::Taken { said: "no finding, and no alert of it".into() };
            }
            let Ok(body) = serde_json::to_vec(&alerts) else {
                return Answer::Refused("it has no JSON".into());
            };
            let (content_type, headers) = ("application/json", HeaderMap::new());
            let answer = self.client.deliver(Post { content_type, headers, body }).await;
            if let Answer::Taken { .. } = answer {
                self.remember(alerts);
            }
            answer
        })
    }
}

#[cfg(test)]
mod tests;
