//! The text protocol of NATS, and what JetStream answers.
//! <https://docs.nats.io/reference/reference-protocols/nats-protocol>

use serde::{Deserialize, Serialize};

use crate::{
    net::http::judge::excerpt,
    sinks::{
        backend::{Reason, Trouble, Verdict},
        record::Record,
    },
    text::plain,
};

/// By which JetStream leaves doubles out (for two minutes, unless the stream has another window).
const ID: &str = "Nats-Msg-Id";

/// What a server tells of itself first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Largest message with its headers that it takes (bytes).
    pub max_payload: usize,
    pub headers: bool,
    pub tls_required: bool,
}

/// What we tell of ourselves.
#[derive(Serialize)]
struct Connect<'a> {
    verbose: bool,
    pedantic: bool,
    headers: bool,
    no_responders: bool,
    protocol: u8,
    lang: &'static str,
    version: &'static str,
    name: &'a str,
    #[serde(flatten)]
    credentials: &'a Credentials,
}

/// Who we are.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Credentials {
    None {},
    User { user: String, pass: String },
    Token { auth_token: String },
}

/// The line that opens a connection; `name` is for the server's own lists.
#[must_use]
pub fn connect(name: &str, credentials: &Credentials) -> String {
    let connect = Connect {
        verbose: false,
        pedantic: false,
        headers: true,
        no_responders: true,
        protocol: 1,
        lang: "rust",
        version: env!("CARGO_PKG_VERSION"),
        name,
        credentials,
    };
    // It has string keys only, which is all that serialization can fail of.
    let json = serde_json::to_string(&connect).unwrap_or_default();
    format!("CONNECT {json}\r\n")
}

/// Publishes a record; the answer comes to the subject `reply`.
#[must_use]
pub fn publish(subject: &str, reply: &str, node: &str, record: &Record) -> Vec<u8> {
    let mut headers = String::from("NATS/1.0\r\n");
    let mut header = |name: &str, value: &str| {
        headers.extend([name, ": "]);
        // A line's end would begin another header, or a message.
        headers.push_str(&plain(value));
        headers.push_str("\r\n");
    };
    header(ID, &record.meta.id);
    header("node", node);
    record.meta.labels().into_iter().for_each(|(name, value)| header(name, value));
    headers.push_str("\r\n");
    let (headers, body) = (headers.as_bytes(), record.json().as_bytes());
    let total = headers.len() + body.len();
    let mut message = format!("HPUB {subject} {reply} {} {total}\r\n", headers.len()).into_bytes();
    message.extend([headers, body, b"\r\n"].concat());
    message
}

/// Size of what [`publish`] makes that a server's `max_payload` is about (bytes).
#[must_use]
pub fn payload(message: &[u8]) -> usize {
    let line = message.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    message.len().saturating_sub(line + 2)
}

/// A line of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Info(Info),
    Ping,
    Pong,
    Ok,
    Error(String),
    /// A message follows: its subject, and the lengths of its headers and of all of it (bytes).
    Message {
        subject: String,
        headers: usize,
        total: usize,
    },
}

/// Reads a line; `None` when it is none that a server sends.
#[must_use]
pub fn line(line: &str) -> Option<Line> {
    let line = line.trim_end();
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim();
    Some(match word.to_ascii_uppercase().as_str() {
        "INFO" => Line::Info(serde_json::from_str(rest).ok()?),
        "PING" => Line::Ping,
        "PONG" => Line::Pong,
        "+OK" => Line::Ok,
        "-ERR" => Line::Error(excerpt(rest.trim_matches('\'').as_bytes())),
        "MSG" => message(rest, false)?,
        "HMSG" => message(rest, true)?,
        _ => return None,
    })
}

/// `SUBJECT SID [REPLY] [HEADERS] TOTAL`
fn message(arguments: &str, headed: bool) -> Option<Line> {
    let words: Vec<_> = arguments.split_ascii_whitespace().collect();
    let (subject, mut lengths) = match (words.as_slice(), headed) {
        ([subject, _, total] | [subject, _, _, total], false) => (subject, ["0", total]),
        ([subject, _, headers, total] | [subject, _, _, headers, total], true) => {
            (subject, [*headers, total])
        }
        _ => return None,
    };
    let mut next = lengths.iter_mut().map(|length| length.parse().ok());
    let (headers, total) = (next.next()??, next.next()??);
    (headers <= total).then(|| Line::Message { subject: (*subject).into(), headers, total })
}

/// What JetStream says of a message.
#[derive(Deserialize)]
struct Ack {
    #[serde(default)]
    stream: String,
    error: Option<AckError>,
}

#[derive(Deserialize)]
struct AckError {
    code: u16,
    #[serde(default)]
    description: String,
}

/// What an answer to a message means.
#[must_use]
pub fn verdict(headers: &[u8], body: &[u8]) -> Verdict {
    let later = |reason, text| Verdict::Later(Trouble { reason, text });
    if headers.starts_with(b"NATS/1.0 503") {
        let text = "no stream takes this subject; make one, or check subject";
        return later(Reason::Server, text.into());
    }
    let Ok(Ack { stream, error }) = serde_json::from_slice(body) else {
        return later(Reason::Protocol, "the answer is none of JetStream".into());
    };
    match error {
        // What it does not want, of this message; 4xx else and 5xx are about streams and servers.
        Some(AckError { code: 400, description }) => {
            Verdict::Refused(excerpt(description.as_bytes()))
        }
        Some(AckError { code, description }) => {
            let reason = if code == 503 { Reason::Busy } else { Reason::Server };
            later(reason, format!("{code}: {}", excerpt(description.as_bytes())))
        }
        None if stream.is_empty() => {
            later(Reason::Protocol, "an answer without the name of a stream".into())
        }
        None => Verdict::Taken,
    }
}

/// What an error of the server itself means.
#[must_use]
pub fn trouble(error: &str) -> Trouble {
    let lower = error.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let reason = match () {
        () if has(&["authorization", "authentication", "permissions", "expired"]) => Reason::Auth,
        () if has(&["tls"]) => Reason::Tls,
        () if has(&["maximum", "slow consumer"]) => Reason::Busy,
        () => Reason::Server,
    };
    Trouble { reason, text: error.into() }
}
