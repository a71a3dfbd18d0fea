//! Text without what could steer a terminal, or end a line.

/// The text, with each control character replaced. Names come from whoever made the process, the
/// interface or the cgroup.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_nothing_else() {
        assert_eq!(
            plain("a\x1b[2Jb\n\u{9b}c\0 \"é]"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd} \"é]"
        );
    }
}
