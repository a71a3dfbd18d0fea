//! `nodeprobe explain`: what the rules say, from the same statics as the findings. The markdown of it
//! is docs/rules.md.

use serde::Serialize;
use thiserror::Error;

use crate::{config::Config, findings::Rule, signals::SIGNALS};

mod keys;
mod markdown;
mod text;

use keys::{Key, Keys};

/// Keys that every rule depends on.
const COMMON: [&str; 3] = ["findings.reopen", "findings.flaps", "findings.incident_window"];

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Human,
    Json,
    /// docs/rules.md, when no rule is named
    Markdown,
}

/// There is no such rule.
#[derive(Debug, Error)]
#[error("there is no rule {asked:?}, did you mean {nearest}? The rules are: {}", all.join(", "))]
pub struct UnknownRule {
    asked: String,
    nearest: &'static str,
    all: Vec<&'static str>,
}

/// A rule and the values of its keys.
#[derive(Serialize)]
struct Entry {
    rule: &'static str,
    signal: &'static str,
    meaning: &'static str,
    computed: &'static str,
    keys: Vec<Key>,
    false_alarms: &'static str,
    advice: &'static str,
}

/// Explains a rule, or lists all, with the values that `config` has for their keys.
///
/// # Errors
/// [`UnknownRule`] names those there are.
pub fn explain(rule: Option<&str>, output: Output, config: &Config) -> Result<String, UnknownRule> {
    let keys = Keys::new(config);
    let entries: Vec<Entry> = match rule {
        Some(name) => vec![Entry::new(find(name)?, &keys)],
        None => rules().map(|rule| Entry::new(rule, &keys)).collect(),
    };
    Ok(match (output, entries.as_slice()) {
        (Output::Human, [entry]) if rule.is_some() => text::rule(entry, &common(&keys)),
        (Output::Human, all) => text::list(all),
        (Output::Json, [entry]) if rule.is_some() => json(entry),
        (Output::Json, all) => json(&all),
        (Output::Markdown, [entry]) if rule.is_some() => markdown::rule(entry),
        (Output::Markdown, all) => markdown::page(all, &common(&keys)),
    })
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    SIGNALS.iter().flat_map(|signal| signal.rules).copied()
}

fn find(name: &str) -> Result<&'static Rule, UnknownRule> {
    rules().find(|rule| rule.name == name).ok_or_else(|| {
        let all: Vec<_> = rules().map(|rule| rule.name).collect();
        let distance = |rule: &&&str| strsim::damerau_levenshtein(name, rule);
        let nearest = all.iter().min_by_key(distance).copied().unwrap_or_default();
        UnknownRule { asked: name.into(), nearest, all }
    })
}

fn common(keys: &Keys) -> Vec<Key> {
    COMMON.iter().map(|name| keys.get(name)).collect()
}

fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

impl Entry {
    fn new(rule: &'static Rule, keys: &Keys) -> Self {
        Self {
            rule: rule.name,
            signal: rule.signal,
            meaning: rule.meaning,
            computed: rule.computed,
            keys: rule.keys.iter().map(|name| keys.get(name)).collect(),
            false_alarms: rule.false_alarms,
            advice: rule.advice,
        }
    }

    /// The meaning in one sentence.
    fn short(&self) -> &'static str {
        let end = self.meaning.find(". ").map_or(self.meaning.len(), |dot| dot + 1);
        self.meaning.get(..end).unwrap_or(self.meaning)
    }
}

#[cfg(test)]
mod tests;
