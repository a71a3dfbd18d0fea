//! What an answer means for a batch, as OTLP has it.
//! <https://opentelemetry.io/docs/specs/otlp/>

use std::time::Duration;

use prost::Message;

use super::proto::ExportLogsServiceResponse;
use crate::sinks::backend::{Answer, Reason, Trouble, Verdict};

/// Longest part of the other side's words that is repeated (bytes).
const LONGEST_WORDS: usize = 300;

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
            return Answer::Refused(words(&format!("gRPC status {code}: {message}")));
        };
        let text = words(&format!("{name}: {message}"));
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
    let why = words(&partial.error_message);
    match rejected {
        0 if why.is_empty() => Answer::Taken { said: "taken".into() },
        0 => Answer::Taken { said: format!("taken, with a warning: {why}") },
        all if all == records => Answer::Each(vec![Verdict::Refused(why); records]),
        // Which ones is not told, and the protocol forbids to send any of them again.
        rejected => Answer::Partly { refused: rejected, why },
    }
}

/// Words of the other side, for one line of a log.
#[must_use]
pub fn words(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_WORDS);
    text[..end].escape_debug().to_string()
}
