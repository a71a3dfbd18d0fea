//! What an error of Kafka means for a batch.

use rskafka::client::error::{Error, ProtocolError};

use crate::{
    net::http::judge::excerpt,
    sinks::backend::{Answer, Reason},
};

/// What became of a batch that `topic` did not take.
#[must_use]
pub fn judged(error: &Error, topic: &str) -> Answer {
    match error {
        Error::ServerError { protocol_error, error_message, .. } => {
            let words = error_message.as_deref().unwrap_or_default();
            let said = match excerpt(words.as_bytes()) {
                words if words.is_empty() => protocol_error.to_string(),
                words => format!("{protocol_error}: {words}"),
            };
            of_broker(*protocol_error, &said, topic)
        }
        Error::Timeout => Answer::later(Reason::Timeout, "the broker did not answer in time"),
        Error::Request(_) | Error::InvalidResponse(_) => {
            Answer::later(Reason::Protocol, told(error))
        }
        error => {
            let text = told(error);
            Answer::later(reason(&text), text)
        }
    }
}

/// Said of a topic that is not there.
#[must_use]
pub fn unknown(topic: &str) -> Answer {
    let text =
        format!("there is no topic {topic:?}, or none that we may see; create it, or check topic");
    Answer::later(Reason::Server, text)
}

fn of_broker(error: ProtocolError, said: &str, topic: &str) -> Answer {
    use ProtocolError as E;
    match error {
        E::MessageTooLarge | E::RecordListTooLarge => Answer::TooLarge(said.into()),
        E::UnknownTopicOrPartition | E::UnknownTopicId => unknown(topic),
        // What it does not want of these records, and never will.
        E::CorruptMessage | E::InvalidRecord | E::InvalidTimestamp | E::PolicyViolation => {
            Answer::Refused(said.into())
        }
        E::TopicAuthorizationFailed
        | E::ClusterAuthorizationFailed
        | E::SaslAuthenticationFailed
        | E::UnsupportedSaslMechanism
        | E::IllegalSaslState => Answer::later(Reason::Auth, said),
        E::RequestTimedOut => Answer::later(Reason::Timeout, said),
        E::NotEnoughReplicas | E::NotEnoughReplicasAfterAppend | E::ThrottlingQuotaExceeded => {
            Answer::later(Reason::Busy, said)
        }
        _ => Answer::later(Reason::Server, said),
    }
}

/// The library wraps what happened into what it did about it, and shows its cause as text only.
fn told(error: &Error) -> String {
    let text = error.to_string();
    let cause = text.rsplit("Source: ").next().unwrap_or(&text);
    excerpt(cause.as_bytes())
}

fn reason(text: &str) -> Reason {
    let lower = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match () {
        () if has(&["sasl"]) => Reason::Auth,
        () if has(&["certificate", "tls", "corrupt message"]) => Reason::Tls,
        () => Reason::Connect,
    }
}
