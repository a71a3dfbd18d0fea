//! Text on its way to people. Names come from whoever made the process, the interface or the cgroup, and
//! what a backend answers from whoever runs it.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Stands for a character that was left out.
const INSTEAD: char = '\u{fffd}';

/// Whether a character could steer a terminal, end a line, or turn the direction of writing, and so forge
/// a line of a log.
#[must_use]
pub fn steers(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || turns
}

/// The text on one line, with each character that [`steers`] replaced.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if steers(c) { INSTEAD } else { c }).collect()
}

/// Lines of our own with such text in them: as [`plain`], but lines end where they end.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.chars().map(|c| if steers(c) && c != '\n' { INSTEAD } else { c }).collect()
}

/// The first characters of a text.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| text.get(..at).unwrap_or_default())
}

/// A value as JSON on one line that can be shown on a terminal: what [`steers`] is escaped, so nothing is
/// lost.
///
/// # Errors
/// Those of the value.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let mut bytes = Vec::with_capacity(1_024);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Tame))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// JSON must escape the first 32 characters only; a terminal obeys others too.
struct Tame;

impl Formatter for Tame {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        to: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| steers(*c)) {
            let (before, after) = rest.split_at(at);
            // All that steers is of the basic plane.
            write!(to, "{before}\\u{:04x}", u32::from(c))?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        to.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
pub mod testing;

#[cfg(test)]
mod tests {
    use super::{testing::HOSTILE, *};

    #[test]
    fn what_steers_is_replaced_and_nothing_else() {
        assert_eq!(
            plain("a\x1b[2Jb\n\u{9b}c\0 \"é]\u{202e}\u{2028}\u{61c}d"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd} \"é]\u{fffd}\u{fffd}\u{fffd}d"
        );
        assert_eq!(plain_lines("a\nb\r\x1b\n"), "a\nb\u{fffd}\u{fffd}\n");
    }

    #[test]
    fn json_steers_nothing_and_loses_nothing() {
        for text in HOSTILE {
            let json = json(&[text]).unwrap();
            assert!(!json.chars().any(steers), "{json:?}");
            assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text.to_owned()]);
        }
        assert_eq!(json(&"é\u{7f}\u{9b}x").unwrap(), r#""é\u007f\u009bx""#);
    }
}
