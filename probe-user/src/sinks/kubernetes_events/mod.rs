//! Findings as Events of Kubernetes: on the pod that one is about, else on the node. A finding is one Event
//! through all its revisions, and of Events there is a bounded number a minute.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use lru::LruCache;
use tokio::time::Instant;

use super::{
    Backend,
    backend::{Answer, Sending},
    record::Record,
};
use crate::{
    findings::{Severity, State},
    kubernetes::write::{Patch, Wanted, Writer},
};

pub mod budget;
pub mod config;
pub mod encode;

use budget::Budget;
use encode::Event;

/// Findings of which it is remembered what their Events say. The agent has fewer open.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4_095);
/// An Event of a finding that goes on is written again after this: the server forgets Events after an hour
/// (kube-apiserver, `--event-ttl`), and each is a write to etcd.
const AGAIN: Duration = Duration::from_secs(10 * 60);

/// The far side of Events.
pub struct EventsBackend {
    writer: Writer,
    /// What the Event of each finding says, by the finding's id.
    told: LruCache<String, Told>,
    budget: Budget,
}

/// What an Event says.
#[derive(Clone, Copy)]
struct Told {
    state: State,
    severity: Severity,
    at: Instant,
}

impl EventsBackend {
    async fn tell(&mut self, record: &Record) -> Answer {
        let meta = &record.meta;
        let Some(state) = meta.state else { return Answer::taken() };
        let (finding, now) = (meta.finding(), Instant::now());
        let news = Told { state, severity: meta.severity, at: now };
        let before = self.told.get(finding).copied();
        if before.is_some_and(|before| before.still_holds(&news)) {
            return Answer::taken();
        }
        // Ends of what was told are no more than beginnings, and one without its end would be wrong for an hour.
        let ends = state == State::Resolved && before.is_some();
        if !ends && !self.budget.has_some(now) {
            return Answer::LeftOut;
        }
        let Event { path, object } = Event::of(record, state, &self.writer.node);
        let answer = match self.writer.patch(&path, Patch::Apply, Wanted::Metadata, &object).await {
            Ok(reply) => Answer::Taken { said: reply.status.to_string() },
            Err(answer) => answer,
        };
        if let Answer::Later { .. } = answer {
            return answer;
        }
        // What is refused once is not asked for again each minute.
        self.told.put(finding.to_owned(), news);
        if !ends {
            self.budget.spend();
        }
        answer
    }
}

impl Told {
    fn still_holds(&self, news: &Self) -> bool {
        let same = self.state == news.state && self.severity == news.severity;
        same && (news.state == State::Resolved || news.at.duration_since(self.at) < AGAIN)
    }
}

impl Backend for EventsBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            // Of a finding the newest revision says all.
            let newest: HashMap<_, _> =
                batch.iter().map(|record| (record.meta.finding(), &record.meta.id)).collect();
            let newest: HashSet<_> = newest.into_values().collect();
            let tell = async |record: &Record| match newest.contains(&record.meta.id) {
                true => self.tell(record).await,
                false => Answer::taken(),
            };
            Answer::one_by_one(batch, tell).await
        })
    }
}

#[cfg(test)]
mod tests;
