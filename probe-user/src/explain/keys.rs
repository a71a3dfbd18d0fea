//! What the configuration keys mean, and their values. The words are the comments of the sample
//! configuration, which operators read: there is one place for them.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::config::Config;

/// The sample configuration: a comment over each key.
const SAMPLE: &str = include_str!("../../../deploy/nodeprobe.toml");

/// A configuration key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Key {
    /// `section.key`
    pub key: String,
    /// Its value, as TOML and JSON both write it.
    pub value: Value,
    /// Its value when no file says otherwise.
    pub default: Value,
    pub meaning: String,
}

/// All keys.
pub struct Keys {
    values: Value,
    defaults: Value,
    meanings: HashMap<String, String>,
}

impl Keys {
    /// The keys with the values of `config`.
    pub fn new(config: &Config) -> Self {
        let values = |config: &Config| serde_json::to_value(config).unwrap_or_default();
        Self {
            values: values(config),
            defaults: values(&Config::default()),
            meanings: meanings(SAMPLE),
        }
    }

    /// A key by its name; what is not known of it is empty.
    pub fn get(&self, key: &str) -> Key {
        let pointer = format!("/{}", key.replace('.', "/"));
        let of = |values: &Value| values.pointer(&pointer).cloned().unwrap_or_default();
        Key {
            key: key.into(),
            value: of(&self.values),
            default: of(&self.defaults),
            meaning: self.meanings.get(key).cloned().unwrap_or_default(),
        }
    }
}

/// The comment over each key of a TOML text.
fn meanings(text: &str) -> HashMap<String, String> {
    let mut meanings = HashMap::new();
    let (mut section, mut comment) = ("", String::new());
    for line in text.lines() {
        if let Some(words) = line.strip_prefix('#') {
            if !comment.is_empty() {
                comment.push(' ');
            }
            comment.push_str(words.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
            comment.clear();
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| !line.starts_with(' ')) {
            meanings.insert(format!("{section}.{name}"), std::mem::take(&mut comment));
        } else if line.is_empty() {
            comment.clear();
        }
    }
    meanings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_comment_over_each_key() {
        let text = "# file\n\n# of the section\n[a]\n# One\n# two.\nb = 1\n# Three.\nc = [\n    \"x = y\",\n]\nd = 2\n";
        let read = meanings(text);
        let of = |key: &str| read.get(key).map(String::as_str);
        assert_eq!(of("a.b"), Some("One two."));
        assert_eq!(of("a.c"), Some("Three."));
        assert_eq!(of("a.d"), Some(""));
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn the_sample_says_what_each_key_means() {
        let keys = Keys::new(&Config::default());
        let sections = keys.defaults.as_object().expect("sections");
        for (section, of) in sections {
            for name in of.as_object().expect("keys").keys() {
                let key = keys.get(&format!("{section}.{name}"));
                assert!(!key.meaning.is_empty(), "no comment over {} in the sample", key.key);
            }
        }
    }
}
