//! Documents of Elasticsearch or OpenSearch, by their bulk API. Each is created under the id of its record,
//! so that what is sent again is there once.

use std::sync::Arc;

use hyper::header::HeaderMap;
use serde::Deserialize;

use super::{
    Backend,
    backend::{Answer, Reason, Sending, Verdict},
    record::Record,
};
use crate::net::http::{Client, Post, Reply, judge};

pub mod config;
mod encode;

/// The far side of a bulk API.
pub struct ElasticsearchBackend {
    client: Client,
    node: String,
}

impl Backend for ElasticsearchBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let body = encode::body(&self.node, batch);
            let (content_type, headers) = ("application/x-ndjson", HeaderMap::new());
            match self.client.post(Post { content_type, headers, body }).await {
                Ok(reply) => of_reply(&reply),
                Err(trouble) => Answer::Later { trouble, after: None },
            }
        })
    }
}

/// What it says of a batch, as far as it is asked to (`filter_path`).
#[derive(Deserialize)]
struct Told {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Created,
}

#[derive(Deserialize)]
struct Created {
    status: u16,
    error: Option<Wrong>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wrong {
    #[serde(rename = "type")]
    kind: String,
    reason: String,
}

fn of_reply(reply: &Reply) -> Answer {
    if !reply.status.is_success() {
        return reply.judge();
    }
    let told: Told = match serde_json::from_slice(&reply.body) {
        Ok(told) => told,
        Err(error) => {
            let text = judge::told(reply.status, &reply.body);
            let why = format!("the answer is none of a bulk API ({error}): {text}");
            return Answer::later(Reason::Protocol, why);
        }
    };
    if told.errors {
        return Answer::Each(told.items.into_iter().map(|item| item.create.verdict()).collect());
    }
    Answer::Taken { said: format!("{}: no errors", reply.status) }
}

impl Created {
    fn verdict(self) -> Verdict {
        let Wrong { kind, reason } = self.error.unwrap_or_default();
        let Ok(status) = self.status.try_into() else {
            return Verdict::Refused(format!("status {}", self.status));
        };
        // Another document has the id: it came before, and only its answer did not.
        if status == hyper::StatusCode::CONFLICT {
            return Verdict::Taken;
        }
        match judge(status, &HeaderMap::new(), format!("{kind}: {reason}").as_bytes()) {
            Answer::Taken { .. } => Verdict::Taken,
            Answer::Later { trouble, .. } => Verdict::Later(trouble),
            Answer::Refused(why) | Answer::TooLarge(why) | Answer::Over(why) => {
                Verdict::Refused(why)
            }
            Answer::Each(_) | Answer::Partly { .. } | Answer::LeftOut => Verdict::Refused(reason),
        }
    }
}

#[cfg(test)]
mod tests;
