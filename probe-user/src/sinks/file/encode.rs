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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sinks::facts::Facts,
        text::testing::{is_plain, records},
    };

    #[test]
    fn no_name_ends_a_line_or_steers_a_terminal_and_none_is_lost() {
        for (name, record) in records() {
            let line = String::from_utf8(line(&record)).unwrap();
            assert!(is_plain(line.strip_suffix('\n').unwrap()), "{line:?}");
            let subject = Facts::of(&record).subject;
            assert_eq!(subject.process.unwrap().comm.as_deref(), Some(name));
            assert_eq!(subject.cgroup.unwrap().path.as_deref(), Some(name));
            assert!(is_plain(&record.meta.summary), "{:?}", record.meta.summary);
        }
    }
}
