//! `[canary]`

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::span::Span;

/// The events that the agent provokes itself, to see that they come through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanaryConfig {
    /// Time between two rounds of them; the first is at the start.
    pub every: Every,
    /// How long one may take from the act to its decoded event.
    pub within: Span,
}

impl Default for CanaryConfig {
    fn default() -> Self {
        Self { every: Every::Span(Span::seconds(3_600)), within: Span::seconds(10) }
    }
}

/// A span of time, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Every {
    Span(Span),
    Never,
}

impl Every {
    /// The span; `None` for never.
    #[must_use]
    pub fn span(self) -> Option<Duration> {
        match self {
            Self::Span(span) => Some(span.duration()),
            Self::Never => None,
        }
    }
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" | "0" => Ok(Self::Never),
            span => span.parse().map(Self::Span).map_err(|error| format!("{error}, nor \"none\"")),
        }
    }
}

impl TryFrom<String> for Every {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        every.to_string()
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => span.fmt(f),
            Self::Never => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_or_never() {
        assert_eq!("1h".parse(), Ok(CanaryConfig::default().every));
        assert_eq!("none".parse(), Ok(Every::Never));
        assert_eq!("0".parse(), Ok(Every::Never));
        let error = "soon".parse::<Every>().expect_err("is no span");
        assert!(error.starts_with("\"soon\" is not a duration") && error.ends_with("nor \"none\""));
    }
}
