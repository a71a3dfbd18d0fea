//! A record as a line of JSON.

use crate::sinks::record::Record;

/// The line, with its newline.
#[must_use]
pub fn line(record: &Record) -> Vec<u8> {
    let json = record.json();
    let mut line = Vec::with_capacity(json.len() + 1);
    line.extend_from_slice(json.as_bytes());
    line.push(b'\n');
    line
}
