//! A rule for the eye.

use std::fmt::Write;

use super::{Entry, keys::Key};

/// Width of the text (columns).
const WIDTH: usize = 96;

/// All rules, each in a line.
pub fn list(entries: &[Entry]) -> String {
    let widest = entries.iter().map(|entry| entry.rule.len()).max().unwrap_or(0);
    let mut text = String::new();
    for entry in entries {
        let _ = writeln!(text, "{:widest$}  {}", entry.rule, entry.short());
    }
    text.push_str("\n`nodeprobe explain RULE` says more.\n");
    text
}

/// Everything there is to say of a rule.
pub fn rule(entry: &Entry, common: &[Key]) -> String {
    let mut text = format!("{} (signal {})\n", entry.rule, entry.signal);
    section(&mut text, "What it means", entry.meaning);
    section(&mut text, "How it is computed", entry.computed);
    keys(&mut text, "Keys of the configuration", &entry.keys);
    keys(&mut text, "Keys of all rules", common);
    section(&mut text, "False alarms", entry.false_alarms);
    section(&mut text, "What to do", entry.advice);
    text
}

fn section(text: &mut String, title: &str, words: &str) {
    let _ = writeln!(text, "\n{title}\n{}", wrapped(words, "  "));
}

fn keys(text: &mut String, title: &str, keys: &[Key]) {
    let _ = writeln!(text, "\n{title}");
    for key in keys {
        let Key { key, value, default, meaning } = key;
        let else_default =
            if value == default { String::new() } else { format!(" (default {default})") };
        let _ = writeln!(text, "{}", wrapped(&format!("{key} = {value}{else_default}"), "  "));
        let _ = writeln!(text, "{}", wrapped(meaning, "      "));
    }
}

fn wrapped(words: &str, indent: &str) -> String {
    let options = textwrap::Options::new(WIDTH).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(words, options)
}
