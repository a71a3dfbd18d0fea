//! Where a count is going: a line through its latest samples.

use std::collections::VecDeque;

use serde::Serialize;

use crate::{event::BootNs, signals::trend};

/// Samples a line is laid through; at one each 5 s, a minute.
const MOST: usize = 12;
/// Fewer say nothing about a direction.
const LEAST: usize = 4;
/// Fewer are not trusted.
const TRUSTED: usize = 10;

/// A count that falls by more than this part of what it rises comes and goes, and leads nowhere.
const MOST_FALLS: u64 = 8;

/// How far a projection can be trusted: by how many samples there are, how well they lie on the line
/// (R², the share of their variance that the line explains), and whether they keep rising. A count
/// that swings faster than it is looked at gives any picture, a line too; that ten looks in a row
/// happen to rise is one chance in millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Fewer than 10 samples, an R² below 0.8, or falls of more than an eighth of the rises.
    Low,
    /// At least 10 samples that keep rising and an R² of at least 0.8.
    Medium,
    /// The same with an R² of at least 0.95.
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
        let confidence = match line.fit() {
            _ if line.samples() < TRUSTED || !self.keeps_rising() => Confidence::Low,
            0.95.. => Confidence::High,
            0.8.. => Confidence::Medium,
            _ => Confidence::Low,
        };
        let mut newest = self.0.iter().rev().map(|(_, count)| *count);
        let still_rising = newest.next() > newest.nth(1);
        Some(Trend { slope: line.per_second(), confidence, still_rising })
    }

    /// Whether hardly any of what it rises is lost again on the way.
    fn keeps_rising(&self) -> bool {
        let counts = self.0.iter().map(|(_, count)| *count);
        let steps = counts.clone().zip(counts.skip(1));
        let (rises, falls) = steps.fold((0_u64, 0_u64), |(rises, falls), (before, after)| {
            let (rise, fall) = (after.saturating_sub(before), before.saturating_sub(after));
            (rises.saturating_add(rise), falls.saturating_add(fall))
        });
        falls <= rises / MOST_FALLS
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
        assert_eq!(confidence(9), Some(Confidence::Low));
        assert_eq!(confidence(10), Some(Confidence::High));
    }

    #[test]
    fn growth_in_steps_is_trusted_less() {
        let steps = samples((0..12).map(|n| n / 3 * 100)).trend().unwrap();
        assert_eq!(steps.confidence, Confidence::Medium);
        let with_a_dip = samples([0, 20, 40, 60, 55, 80, 100, 120, 140, 160]).trend().unwrap();
        assert_eq!(with_a_dip.confidence, Confidence::High);
    }

    #[test]
    fn a_swing_that_looks_like_a_line_is_not_trusted() {
        let swing = samples([30, 36, 40, 36, 42, 51, 48, 57, 54, 63, 60, 66]).trend().unwrap();
        assert!(swing.slope > 0.5);
        assert_eq!(swing.confidence, Confidence::Low);
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
