//! What an answer means for a batch, as OTLP has it.
//! <https://opentelemetry.io/docs/specs/otlp/>

use std::time::Duration;

use hyper::header;
use prost::Message;

use super::{
    grpc,
    proto::{ExportLogsServiceResponse, Status},
};
use crate::{
    net::http::{
        Reply,
        judge::{excerpt, told},
    },
    sinks::backend::{Answer, Reason, Trouble, Verdict},
};

/// Of requests and answers by HTTP.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// How a gRPC call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub code: i32,
    pub message: String,
    /// How long the other side asks to wait.
    pub retry_after: Option<Duration>,
}

impl Ended {
    /// What a call that failed means. What the protocol has not repeated is refused; but that we are not
    /// let in, or are at the wrong door, says nothing of the records, so they wait for whoever mends it.
    #[must_use]
    pub fn judged(self) -> Answer {
        let Self { code, message, retry_after } = self;
        let Some((name, meaning)) = meaning(code) else {
            return Answer::Refused(format!("gRPC status {code}: {}", excerpt(message.as_bytes())));
        };
        let text = format!("{name}: {}", excerpt(message.as_bytes()));
        let later =
            |reason, text| Answer::Later { trouble: Trouble { reason, text }, after: retry_after };
        match meaning {
            Meaning::Passes(reason) => later(reason, text),
            Meaning::NoRoom if retry_after.is_some() => later(Reason::Busy, text),
            // Servers answer so to a message that is larger than they take.
            Meaning::NoRoom => Answer::TooLarge(text),
            Meaning::NotLetIn => later(Reason::Auth, text),
            Meaning::WrongDoor => {
                let help = "is it an OTLP server that takes logs by gRPC?";
                later(Reason::Protocol, format!("{text}; {help}"))
            }
            Meaning::Final => Answer::Refused(text),
        }
    }
}

enum Meaning {
    Passes(Reason),
    NoRoom,
    NotLetIn,
    WrongDoor,
    Final,
}

/// Name and meaning of a gRPC status that is none of success.
fn meaning(code: i32) -> Option<(&'static str, Meaning)> {
    use Meaning::{Final, NoRoom, NotLetIn, Passes, WrongDoor};
    Some(match code {
        1 => ("CANCELLED", Passes(Reason::Server)),
        2 => ("UNKNOWN", Final),
        3 => ("INVALID_ARGUMENT", Final),
        4 => ("DEADLINE_EXCEEDED", Passes(Reason::Timeout)),
        5 => ("NOT_FOUND", Final),
        6 => ("ALREADY_EXISTS", Final),
        7 => ("PERMISSION_DENIED", NotLetIn),
        8 => ("RESOURCE_EXHAUSTED", NoRoom),
        9 => ("FAILED_PRECONDITION", Final),
        10 => ("ABORTED", Passes(Reason::Server)),
        11 => ("OUT_OF_RANGE", Passes(Reason::Server)),
        12 => ("UNIMPLEMENTED", WrongDoor),
        13 => ("INTERNAL", Final),
        14 => ("UNAVAILABLE", Passes(Reason::Busy)),
        15 => ("DATA_LOSS", Passes(Reason::Server)),
        16 => ("UNAUTHENTICATED", NotLetIn),
        _ => return None,
    })
}

/// What the answer to a request that succeeded means for a batch of `records`.
#[must_use]
pub fn succeeded(body: &[u8], records: usize) -> Answer {
    let Ok(response) = ExportLogsServiceResponse::decode(body) else {
        let text = "the answer is no ExportLogsServiceResponse; is it an OTLP server?";
        return Answer::later(Reason::Protocol, text);
    };
    let partial = response.partial_success.unwrap_or_default();
    let rejected = usize::try_from(partial.rejected_log_records).unwrap_or(0).min(records);
    let why = excerpt(partial.error_message.as_bytes());
    match rejected {
        0 if why.is_empty() => Answer::Taken { said: "taken".into() },
        0 => Answer::Taken { said: format!("taken, with a warning: {why}") },
        all if all == records => Answer::Each(vec![Verdict::Refused(why); records]),
        // Which ones is not told, and the protocol forbids to send any of them again.
        rejected => Answer::Partly { refused: rejected, why },
    }
}

/// What an answer by HTTP means for a batch of `records`.
#[must_use]
pub fn of_http(mut reply: Reply, records: usize) -> Answer {
    if reply.status.is_success() {
        return whole(&reply, |reply| succeeded(&reply.body, records));
    }
    // What stands in between has words of its own, and no protobuf.
    let protobuf = reply.headers.get(header::CONTENT_TYPE).is_some_and(|of| of == CONTENT_TYPE);
    if protobuf && let Ok(status) = Status::decode(reply.body.clone()) {
        reply.body = status.message.into();
    }
    match reply.status.as_u16() {
        ..500 | 502..=504 => reply.judge(),
        _ => Answer::Refused(told(reply.status, &reply.body)),
    }
}

/// What an answer by gRPC means for a batch of `records`.
#[must_use]
pub fn of_grpc(reply: &Reply, records: usize) -> Answer {
    // Where there is no message, the trailers are all there is, and come as headers.
    let ended = grpc::ended(&reply.trailers).or_else(|| grpc::ended(&reply.headers));
    match ended {
        Some(Ended { code: 0, .. }) => whole(reply, |reply| match grpc::unframed(&reply.body) {
            Ok(message) => succeeded(message, records),
            Err(wrong) => Answer::later(Reason::Protocol, wrong),
        }),
        Some(ended) => ended.judged(),
        None if reply.status.is_success() => {
            let text =
                "an answer without a gRPC status; is it an OTLP server, and is protocol right?";
            Answer::later(Reason::Protocol, text)
        }
        None => grpc::of_http(reply.status.as_u16()).judged(),
    }
}

fn whole(reply: &Reply, judge: impl FnOnce(&Reply) -> Answer) -> Answer {
    match reply.whole {
        true => judge(reply),
        false => Answer::later(Reason::Protocol, "the answer is too long; is it an OTLP server?"),
    }
}
