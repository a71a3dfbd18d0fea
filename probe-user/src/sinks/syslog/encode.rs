//! A record as a message of RFC 5424, and messages one behind the other in a stream.

use std::process;

use super::config::{Body, Facility, Framing, SdId};
use crate::{
    findings::State,
    sinks::{
        priority::priority,
        record::{Meta, Record},
    },
    text::plain,
};

/// APP-NAME.
const APP: &str = "nodeprobe";
/// Longest HOSTNAME (bytes, RFC 5424 section 6.2.4).
const LONGEST_HOST: usize = 255;
/// Longest MSGID (bytes, RFC 5424 section 6.2.7).
const LONGEST_MSGID: usize = 32;
/// Longest value of structured data (bytes): what is longer is nothing to search by.
const LONGEST_VALUE: usize = 64;
/// Says that the text is UTF-8 (RFC 5424 section 6.4).
const BOM: &str = "\u{feff}";
/// Stands at the end of a text that is not all there.
const CUT: &str = " [cut]";

/// Makes messages.
pub struct Encoder {
    pub facility: Facility,
    pub sd_id: SdId,
    pub body: Body,
    /// Most of a message (bytes).
    pub most: usize,
    /// HOSTNAME.
    host: String,
}

impl Encoder {
    /// Messages of the node called `node`.
    #[must_use]
    pub fn new(facility: Facility, sd_id: SdId, body: Body, most: usize, node: &str) -> Self {
        Self { facility, sd_id, body, most, host: printable(node, LONGEST_HOST) }
    }

    /// A record as a message, without a control character in it. Where it is longer than it may be, the
    /// text is cut; JSON gives way to the summary, as half of it is worth nothing.
    #[must_use]
    pub fn message(&self, record: &Record) -> Vec<u8> {
        let mut message = self.head(&record.meta);
        let room = self.most.saturating_sub(message.len());
        let text = match self.body {
            Body::Json => plain(record.json()),
            Body::Summary => plain(&record.meta.summary),
        };
        if text.len() <= room {
            message.push_str(&text);
        } else {
            let room = room.saturating_sub(CUT.len());
            message.push_str(first(&plain(&record.meta.summary), room));
            message.push_str(CUT);
        }
        message.into_bytes()
    }

    /// All but the text.
    fn head(&self, meta: &Meta) -> String {
        let priority = u32::from(self.facility.code()) * 8 + u32::from(priority(meta));
        let time = meta.at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
        let (host, process) = (&self.host, process::id());
        let rule = printable(&meta.rule, LONGEST_MSGID);
        let data = self.structured_data(meta);
        format!("<{priority}>1 {time} {host} {APP} {process} {rule} {data} {BOM}")
    }

    fn structured_data(&self, meta: &Meta) -> String {
        let values = [
            ("id", Some(meta.id.as_str())),
            ("kind", Some(meta.kind.name())),
            ("signal", Some(meta.signal.as_str())),
            ("rule", Some(meta.rule.as_str())),
            ("severity", Some(meta.severity.name())),
            ("state", meta.state.map(State::name)),
        ];
        let mut data = format!("[{}", self.sd_id);
        for (name, value) in values.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            data.push_str(&format!(" {name}=\"{}\"", escaped(value)));
        }
        data.push(']');
        data
    }
}

/// A message as a part of a stream.
#[must_use]
pub fn frame(mut message: Vec<u8>, framing: Framing) -> Vec<u8> {
    match framing {
        Framing::OctetCounted => [format!("{} ", message.len()).as_bytes(), &message].concat(),
        Framing::Lf => {
            message.push(b'\n');
            message
        }
    }
}

/// A value of structured data (RFC 5424 section 6.3.3).
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in first(&plain(value), LONGEST_VALUE).chars() {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A field of the header: what is not printable ASCII is replaced, and "-" stands for nothing.
fn printable(text: &str, most: usize) -> String {
    let replace = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let text: String = text.chars().take(most).map(replace).collect();
    if text.is_empty() { "-".into() } else { text }
}

/// The first bytes of a text, at most so many, and no half character.
fn first(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
