//! Log lines of Loki, by its push API: protobuf in snappy's block format.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;

use super::{
    Backend,
    backend::{Answer, Reason, Sending},
    labels::Labels,
    record::Record,
};
use crate::net::http::{Client, Post};

pub mod config;
mod encode;
mod proto;

/// Whose logs they are, where Loki serves more than one.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");

/// The far side of Loki.
pub struct LokiBackend {
    client: Client,
    node: String,
    /// Labels of every stream.
    own: Labels,
    tenant: Option<HeaderValue>,
}

impl Backend for LokiBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let push = encode::push(&self.node, &self.own, batch).encode_to_vec();
            let body = match snap::raw::Encoder::new().compress_vec(&push) {
                Ok(body) => body,
                Err(error) => return Answer::later(Reason::Other, format!("snappy: {error}")),
            };
            let headers: HeaderMap = self.tenant.iter().map(|of| (TENANT, of.clone())).collect();
            self.client
                .deliver(Post { content_type: "application/x-protobuf", headers, body })
                .await
        })
    }
}

#[cfg(test)]
mod tests;
