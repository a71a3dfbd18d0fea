//! Records as OpenTelemetry logs, by OTLP over gRPC or over HTTP.

use std::sync::Arc;

use hyper::HeaderMap;

use super::{
    Backend,
    backend::{Answer, Reason, Sending},
    record::Record,
};
use crate::net::http::{Client, Post};

pub mod attributes;
pub mod config;
pub mod encode;
pub mod grpc;
pub mod outcome;
pub mod proto;

use config::Protocol;

/// A collector, or whatever else takes OTLP.
pub struct OtlpBackend {
    client: Client,
    protocol: Protocol,
    gzip: bool,
    resource: proto::Resource,
}

impl OtlpBackend {
    /// Sends by `client`, which compresses for HTTP; for gRPC it is done here.
    #[must_use]
    pub fn new(client: Client, protocol: Protocol, gzip: bool) -> Self {
        Self { client, protocol, gzip, resource: encode::resource() }
    }

    async fn export(&mut self, batch: &[Arc<Record>]) -> Answer {
        let message = encode::request(&self.resource, batch);
        let post = match self.protocol {
            Protocol::Http => Ok(Post {
                content_type: outcome::CONTENT_TYPE,
                headers: HeaderMap::new(),
                body: message,
            }),
            Protocol::Grpc => grpc::post(&message, self.gzip),
        };
        let post = match post {
            Ok(post) => post,
            Err(error) => return Answer::later(Reason::Other, format!("gzip: {error}")),
        };
        match (self.client.post(post).await, self.protocol) {
            (Ok(reply), Protocol::Http) => outcome::of_http(reply, batch.len()),
            (Ok(reply), Protocol::Grpc) => outcome::of_grpc(&reply, batch.len()),
            (Err(trouble), _) => Answer::Later { trouble, after: None },
        }
    }
}

impl Backend for OtlpBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(self.export(batch))
    }
}

#[cfg(test)]
mod tests;
