//! Records as JSON, by HTTP POST to whoever wants them; signed where a secret is shared.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::hmac;

use super::{
    Backend,
    backend::{Answer, Reason, Sending},
    record::Record,
};
use crate::net::{
    auth::Live,
    http::{Client, Post},
};

pub mod config;
mod encode;

/// When it was signed (seconds since 1970): whoever checks refuses what is too old, and with it whatever
/// somebody recorded and sends again.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-nodeprobe-timestamp");
/// `sha256=HEX`: HMAC-SHA256 over the timestamp, a full stop and the body.
const SIGNATURE: HeaderName = HeaderName::from_static("x-nodeprobe-signature");

/// The far side of a webhook.
pub struct WebhookBackend {
    client: Client,
    secret: Option<Live>,
    node: String,
}

impl WebhookBackend {
    fn headers(&mut self, body: &[u8]) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        if let Some(secret) = &mut self.secret {
            let now = Timestamp::now().as_second();
            let signature = sign(secret.secret().reveal(), now, body);
            let signature = HeaderValue::try_from(signature).map_err(|error| error.to_string())?;
            headers.insert(TIMESTAMP, now.into());
            headers.insert(SIGNATURE, signature);
        }
        Ok(headers)
    }
}

impl Backend for WebhookBackend {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        Box::pin(async move {
            let body = encode::body(&self.node, batch);
            match self.headers(&body) {
                Ok(headers) => {
                    let post = Post { content_type: "application/json", headers, body };
                    self.client.deliver(post).await
                }
                Err(why) => Answer::later(Reason::Other, why),
            }
        })
    }
}

/// The signature of a body at a time.
fn sign(secret: &str, at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{at}.").as_bytes());
    context.update(body);
    let hex = context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256={hex}")
}

#[cfg(test)]
mod tests;
