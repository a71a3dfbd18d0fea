//! Where a count is going: a line through its latest samples.

use std::collections::VecDeque;

use serde::Serialize;

use crate::{event::BootNs, signals::trend};

/// Samples a line is laid through; at one each 5 s, a minute.
const MOST: usize = 12;
/// Fewer say nothing about a direction.
const LEAST: usize = 4;

/// How far a projection can be trusted: by how many samples there are, and how well they lie on the
/// line (R², the share of their variance that the line explains).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Fewer than 6 samples, or R² below 0.8.
    Low,
    /// At least 6 samples and an R² of at least 0.8.
    Medium,
    /// At least 10 samples and an R² of at least 0.95.
    High,
}

/// Direction and speed of a count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Growth, negative when it shrinks (count a second).
    slope: f64,
    pub confidence: Confidence,
    /// Whether the newest sample is higher than the last but one: what grew and then stopped lies
    /// near a rising line for a while.
    still_rising: bool,
}

impl Trend {
    /// Growth in a minute, rounded.
    #[must_use]
    pub fn per_minute(&self) -> i64 {
        (self.slope * 60.0).round() as i64
    }

    /// Seconds until so much more is used up; `None` when it does not grow.
    #[must_use]
    pub fn seconds_to(&self, room: u64) -> Option<u64> {
        let growing = self.slope > 0.0 && self.still_rising;
        growing.then(|| (room as f64 / self.slope).round() as u64)
    }
}

/// The latest samples of a count.
#[derive(Clone, Debug, Default)]
pub struct Samples(VecDeque<(BootNs, u64)>);

impl Samples {
    /// Adds a sample; one that is not newer than the last is left out.
    pub fn push(&mut self, at: BootNs, count: u64) {
        if self.0.back().is_some_and(|(last, _)| *last >= at) {
            return;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((at, count));
    }

    /// The line of least squares through them; `None` for too few.
    #[must_use]
    pub fn trend(&self) -> Option<Trend> {
        if self.0.len() < LEAST {
            return None;
        }
        let line = trend::Trend::of(self.0.iter().copied());
        let confidence = match line.samples() {
            10.. if line.fit() >= 0.95 => Confidence::High,
            6.. if line.fit() >= 0.8 => Confidence::Medium,
            _ => Confidence::Low,
        };
        let mut newest = self.0.iter().rev().map(|(_, count)| *count);
        let still_rising = newest.next() > newest.nth(1);
        Some(Trend { slope: line.per_second(), confidence, still_rising })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(counts: impl IntoIterator<Item = u64>) -> Samples {
        let mut samples = Samples::default();
        for (number, count) in counts.into_iter().enumerate() {
            samples.push((number as u64 + 1) * 5_000_000_000, count);
        }
        samples
    }

    #[test]
    fn a_steady_growth_is_a_line() {
        let trend = samples((0..12).map(|n| 100 + 10 * n)).trend().unwrap();
        assert_eq!((trend.per_minute(), trend.confidence), (120, Confidence::High));
        assert_eq!(trend.seconds_to(100), Some(50));
    }

    #[test]
    fn confidence_grows_with_the_samples() {
        let confidence = |n| samples((0..n).map(|n| n * 7)).trend().map(|trend| trend.confidence);
        assert_eq!(confidence(3), None);
        assert_eq!(confidence(4), Some(Confidence::Low));
        assert_eq!(confidence(5), Some(Confidence::Low));
        assert_eq!(confidence(6), Some(Confidence::Medium));
        assert_eq!(confidence(9), Some(Confidence::Medium));
        assert_eq!(confidence(10), Some(Confidence::High));
    }

    #[test]
    fn what_goes_up_and_down_is_not_trusted() {
        let saw = samples([10, 40, 70, 20, 50, 80, 30, 60, 90, 40, 70, 95]).trend().unwrap();
        assert_eq!(saw.confidence, Confidence::Low);
    }

    #[test]
    fn a_flat_line_and_a_falling_one_end_nowhere() {
        let flat = samples([50; 12]).trend().unwrap();
        assert_eq!((flat.per_minute(), flat.seconds_to(1)), (0, None));
        let falling = samples((0..12).map(|n| 100 - n)).trend().unwrap();
        assert_eq!((falling.per_minute(), falling.seconds_to(1)), (-12, None));
    }

    #[test]
    fn what_grew_and_stopped_ends_nowhere() {
        let stopped = samples([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100]);
        assert_eq!(stopped.trend().unwrap().seconds_to(10), None);
    }

    proptest! {
        #[test]
        fn any_samples_give_sane_numbers(counts in prop::collection::vec(any::<u64>(), 0..40), times in prop::collection::vec(any::<u64>(), 40)) {
            let mut samples = Samples::default();
            for (at, count) in times.iter().zip(&counts) {
                samples.push(*at, *count);
            }
            prop_assert!(samples.0.len() <= MOST);
            if let Some(trend) = samples.trend() {
                prop_assert!(trend.slope.is_finite());
            }
        }
    }
}
