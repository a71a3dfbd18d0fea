//! gRPC as far as one unary call goes: a framed message there, a framed message and trailers back.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::{io, time::Duration};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};
use percent_encoding::percent_decode;
use prost::Message;

use super::{
    outcome::Ended,
    proto::{RetryInfo, Status},
};
use crate::net::http::{Post, gzip};

/// Path of the one method that is called.
pub const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Length of what stands before a message: whether it is compressed, and its length (bytes).
const PREFIX: usize = 5;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Binary headers come with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request that calls it.
///
/// # Errors
/// When the message cannot be compressed.
pub fn post(message: &[u8], compressed: bool) -> io::Result<Post> {
    let mut headers = HeaderMap::new();
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let body = match compressed {
        true => {
            headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
            framed(&gzip(message)?, true)
        }
        false => framed(message, false),
    };
    Ok(Post { content_type: "application/grpc+proto", headers, body })
}

/// A message behind its prefix.
#[must_use]
pub fn framed(message: &[u8], compressed: bool) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(PREFIX + message.len());
    frame.push(u8::from(compressed));
    frame.extend(length.to_be_bytes());
    frame.extend(message);
    frame
}

/// The one message of an answer.
///
/// # Errors
/// What is wrong with it.
pub fn unframed(body: &[u8]) -> Result<&[u8], &'static str> {
    let Some(([compressed, length @ ..], message)) = body.split_first_chunk::<PREFIX>() else {
        return Err("a gRPC answer without a message");
    };
    match (compressed, u32::from_be_bytes(*length) as usize == message.len()) {
        // It was not told that anything else than identity is understood.
        (0, true) => Ok(message),
        (0, false) => Err("a gRPC answer that is not one whole message"),
        _ => Err("a gRPC answer that is compressed"),
    }
}

/// What trailers tell, or headers where there is no body; `None` where they tell nothing.
#[must_use]
pub fn ended(trailers: &HeaderMap) -> Option<Ended> {
    let text = |name| trailers.get(name).map(HeaderValue::as_bytes);
    let code = str::from_utf8(text("grpc-status")?).ok()?.parse().ok()?;
    let message = percent_decode(text("grpc-message").unwrap_or_default());
    let message = message.decode_utf8_lossy().into_owned();
    let details = text("grpc-status-details-bin").and_then(|text| BASE64.decode(text).ok());
    let details = details.and_then(|bytes| Status::decode(Bytes::from(bytes)).ok());
    Some(Ended { code, message, retry_after: details.and_then(|status| retry_after(&status)) })
}

/// What a call that never came to gRPC is to be taken for, by its HTTP status.
/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
#[must_use]
pub fn of_http(status: u16) -> Ended {
    let code = match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    };
    let message = format!("HTTP status {status} and no gRPC status");
    Ended { code, message, retry_after: None }
}

/// The delay that a status asks for, if it has a `RetryInfo`.
#[must_use]
pub fn retry_after(status: &Status) -> Option<Duration> {
    let detail = status.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanos.into()))
}
