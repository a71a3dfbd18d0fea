//! Reading a configuration file. A mistake names file, line, key and what is allowed.

use std::{fs, io, ops::Range, path::Path};

use thiserror::Error;
use toml::de::DeTable;

use super::Config;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{file}: {source}; check the path and its permissions")]
    Unreadable { file: String, source: io::Error },
    #[error("{file}:{line}: {key}{message}")]
    Invalid { file: String, line: usize, key: KeyPrefix, message: String },
    #[error("{file}: {key}: {message}; {waiting} would be other values only after a restart")]
    Waits { file: String, key: String, message: String, waiting: String },
}

/// The key a mistake is at, as the beginning of a message; nothing when the syntax itself is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyPrefix(Option<String>);

impl std::fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |key| write!(f, "{key}: "))
    }
}

/// Longest file that is read (bytes).
const LONGEST: u64 = 1024 * 1024;

/// Reads and checks a file.
///
/// # Errors
/// [`ConfigError`] when it cannot be read, is not TOML, or has a key or value that is not allowed.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let file = path.display().to_string();
    let text =
        read(path).map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
    parse(&file, &text)
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    fs::read_to_string(path)
}

/// Checks the text of a file called `file`.
///
/// # Errors
/// [`ConfigError::Invalid`] when it is not a configuration.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    let at = |span: Option<Range<usize>>| span.map_or(1, |span| line(text, span.start));
    let config: Config = toml::from_str(text).map_err(|error| ConfigError::Invalid {
        file: file.into(),
        line: at(error.span()),
        key: KeyPrefix(error.span().and_then(|span| key_at(text, span.start))),
        message: error.message().replace('\n', " "),
    })?;
    let sinks = config.sinks.wrong().map(|(sink, message)| ("sinks", sink, message));
    let metrics = config.metrics.wrong().map(|(key, message)| ("metrics", key, message));
    let wrong = config.contradiction().or(sinks).or(metrics);
    let Some((section, key, message)) = wrong else { return Ok(config) };
    let span = DeTable::parse(text).ok().and_then(|table| {
        let section = table.get_ref().get(section)?.get_ref().as_table()?;
        Some(section.get(key)?.span())
    });
    Err(ConfigError::Invalid {
        file: file.into(),
        line: at(span),
        key: KeyPrefix(Some(format!("{section}.{key}"))),
        message,
    })
}

/// Checks what becomes of a file while some keys, `waiting`, keep their old values.
///
/// # Errors
/// [`ConfigError::Waits`] when its values do not go together with those.
pub fn consistent(file: &Path, config: &Config, waiting: &[String]) -> Result<(), ConfigError> {
    config.contradiction().map_or(Ok(()), |(section, key, message)| {
        let (file, key) = (file.display().to_string(), format!("{section}.{key}"));
        Err(ConfigError::Waits { file, key, message, waiting: waiting.join(", ") })
    })
}

/// The key that the byte at `offset` belongs to; `None` where the text is no TOML.
fn key_at(text: &str, offset: usize) -> Option<String> {
    fn within(table: &DeTable<'_>, offset: usize) -> Option<String> {
        table.iter().find_map(|(key, value)| {
            let name = key.get_ref();
            let inside = value.get_ref().as_table().and_then(|table| within(table, offset));
            let here = || key.span().contains(&offset) || value.span().contains(&offset);
            let below = inside.map(|inside| format!("{name}.{inside}"));
            below.or_else(|| here().then(|| name.to_string()))
        })
    }
    within(DeTable::parse(text).ok()?.get_ref(), offset)
}

/// Number of the line (from 1) that the byte at `offset` is in.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

impl Config {
    /// Two values that do not go together: section, key and what is wrong.
    fn contradiction(&self) -> Option<(&str, &str, String)> {
        let Self { tc, netlink, rtnl, fd, .. } = self;
        [
            ("tc", "critical_writes", below(tc.critical_writes, "warn_writes", tc.warn_writes)),
            (
                "netlink",
                "critical_open",
                below(netlink.critical_open, "warn_open", netlink.warn_open),
            ),
            (
                "rtnl",
                "critical_waited",
                below(rtnl.critical_waited, "warn_waited", rtnl.warn_waited),
            ),
            ("fd", "warn_open", below(fd.warn_open, "breakdown_at", fd.breakdown_at)),
        ]
        .into_iter()
        .find_map(|(section, key, message)| Some((section, key, message?)))
    }
}

/// What is wrong when a value is below another one that it must not be below.
fn below<T: PartialOrd + std::fmt::Display>(value: T, other: &str, than: T) -> Option<String> {
    (value < than).then(|| format!("{value} is below {other} ({than}); it must not be"))
}

#[cfg(test)]
mod tests;
