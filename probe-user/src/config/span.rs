//! Values with a range: a mistake says what is allowed.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{SignedDuration, SpanRelativeTo, fmt::friendly};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A span of time of at least a second and at most a week, written `60s`, `2m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    const LONGEST_SECONDS: u64 = 7 * 24 * 3600;

    /// A span of so many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The span.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The span in nanoseconds.
    #[must_use]
    pub fn ns(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = SignedDuration::try_from(self.0).unwrap_or_default();
        f.write_str(&friendly::SpanPrinter::new().duration_to_string(&span))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a duration from \"1s\" to \"7d\", such as \"60s\", \"2m\" or \"1h 30m\""
            )
        };
        let span: jiff::Span = text.parse().map_err(|_| wrong())?;
        let days = SpanRelativeTo::days_are_24_hours();
        let span = span.to_duration(days).map_err(|_| wrong())?;
        let span = Duration::try_from(span).map_err(|_| wrong())?;
        let allowed = Duration::from_secs(1)..=Duration::from_secs(Self::LONGEST_SECONDS);
        if allowed.contains(&span) { Ok(Self(span)) } else { Err(wrong()) }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Deserializes a whole number from `MIN` to `MAX`.
///
/// # Errors
/// Names the range when the number is outside it.
pub fn within<'de, D, const MIN: usize, const MAX: usize>(
    deserializer: D,
) -> Result<usize, D::Error>
where
    D: Deserializer<'de>,
{
    let number = i64::deserialize(deserializer)?;
    usize::try_from(number).ok().filter(|number| (MIN..=MAX).contains(number)).ok_or_else(|| {
        D::Error::custom(format!("{number} is not a whole number from {MIN} to {MAX}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_understood_and_what_is_printed_is_read_again() {
        for (text, seconds) in [("7d", 604_800), ("1d 12h", 129_600), ("1h 30m", 5_400)] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span, Span::seconds(seconds));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for wrong in ["8d", "0s", "1mo", "-1h", "soon"] {
            assert!(
                wrong.parse::<Span>().unwrap_err().contains("from \"1s\" to \"7d\""),
                "{wrong}"
            );
        }
    }
}
