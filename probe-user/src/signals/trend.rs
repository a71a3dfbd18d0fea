//! A straight line through a history: how fast something grows, and when it gets where.

use crate::event::BootNs;

/// Samples below which a line says nothing about the time to come.
const LEAST_SAMPLES: usize = 5;

/// A limit reached within this time is a matter of now (s).
pub const SOON: u64 = 24 * 3_600;

/// A least-squares line through samples over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    samples: usize,
    per_second: f64,
    /// Coefficient of determination, R².
    fit: f64,
}

impl Trend {
    /// The line through `samples` (ns since boot, value); flat where there are fewer than two.
    #[must_use]
    pub fn of(samples: impl Iterator<Item = (BootNs, u64)> + Clone) -> Self {
        let Some((start, first)) = samples.clone().next() else {
            return Self { samples: 0, per_second: 0.0, fit: 0.0 };
        };
        // Relative to the first, so that no digits get lost in times since boot.
        let points = samples.map(|(at, value)| {
            (at.saturating_sub(start) as f64 / 1e9, value as f64 - first as f64)
        });
        let number = points.clone().count();
        let (sum_x, sum_y) =
            points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / number as f64, sum_y / number as f64);
        let (xx, xy, yy) = points.fold((0.0, 0.0, 0.0), |(xx, xy, yy), (x, y)| {
            let (x, y) = (x - mean_x, y - mean_y);
            (xx + x * x, xy + x * y, yy + y * y)
        });
        if xx == 0.0 || yy == 0.0 {
            // What does not change is told to the last digit.
            let fit = if xx > 0.0 { 1.0 } else { 0.0 };
            return Self { samples: number, per_second: 0.0, fit };
        }
        Self { samples: number, per_second: xy / xx, fit: xy * xy / (xx * yy) }
    }

    /// Samples the line is laid through.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Growth a second; negative when it shrinks.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// The share of the samples' variance that the line explains (R², 0 to 1).
    #[must_use]
    pub fn fit(&self) -> f64 {
        self.fit
    }

    /// Growth an hour, rounded.
    #[must_use]
    pub fn per_hour(&self) -> i64 {
        (self.per_second * 3_600.0).round() as i64
    }

    /// How much of the ups and downs the line explains (percent): 100 for a steady growth, little
    /// for a saw-tooth or a single jump.
    #[must_use]
    pub fn confidence_percent(&self) -> u64 {
        (self.fit * 100.0).round().min(100.0) as u64
    }

    /// Seconds until `value` has grown to `target`, 0 when it is there; `None` when it does not
    /// grow, or when too little is known to say.
    #[must_use]
    pub fn seconds_until(&self, value: u64, target: u64) -> Option<u64> {
        if self.samples < LEAST_SAMPLES || self.per_second <= 0.0 {
            return None;
        }
        Some((target.saturating_sub(value) as f64 / self.per_second) as u64)
    }
}

/// Whether at least `percent` of the steps from one value to the next go up.
#[must_use]
pub fn rises(rising: usize, steps: usize, percent: usize) -> bool {
    rising * 100 >= steps * percent
}

/// Steps from one value to the next that go up.
#[must_use]
pub fn rising<T: PartialOrd>(values: impl Iterator<Item = T> + Clone) -> usize {
    values.clone().zip(values.skip(1)).filter(|(before, after)| after > before).count()
}

/// Four fifths of a limit: what growth is projected to, as something must still work by then.
#[must_use]
pub fn most_of(limit: u64) -> u64 {
    limit - limit / 5
}

/// A span of time in a sentence.
#[must_use]
pub fn duration_label(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{}.{} h", seconds / 3_600, seconds % 3_600 / 360),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn trend(values: &[u64]) -> Trend {
        let day = 24 * 60 * MINUTE;
        Trend::of(values.iter().enumerate().map(|(n, value)| (day + n as u64 * MINUTE, *value)))
    }

    #[test]
    fn a_steady_growth_is_projected() {
        let line = trend(&[84, 86, 88, 90, 92]);
        assert_eq!((line.per_hour(), line.confidence_percent()), (120, 100));
        // The Calico leak against a limit of 1,024: (819 - 92) / 2 minutes.
        let seconds = line.seconds_until(92, most_of(1_024)).unwrap();
        assert!((363 * 60..=364 * 60).contains(&seconds), "{seconds}");
        assert_eq!(line.seconds_until(900, 800), Some(0));
    }

    #[test]
    fn four_samples_and_shrinking_are_no_projection() {
        assert_eq!(trend(&[84, 86, 88, 90]).seconds_until(90, 1_000), None);
        assert_eq!(trend(&[9, 8, 7, 6, 5, 4]).seconds_until(4, 1_000), None);
        assert_eq!(trend(&[9, 9, 9, 9, 9, 9]).seconds_until(9, 1_000), None);
        assert_eq!(trend(&[9, 9, 9, 9, 9, 9]).confidence_percent(), 100, "nothing is unexplained");
        assert_eq!(trend(&[]).per_hour(), 0);
    }

    #[test]
    fn a_saw_tooth_and_a_jump_are_hardly_a_line() {
        let saw: Vec<u64> = (0..21).map(|n| 100 + n % 10).collect();
        assert!(trend(&saw).confidence_percent() < 50, "{:?}", trend(&saw));
        let jump: Vec<u64> = (0..21).map(|n| if n == 20 { 5_000 } else { n }).collect();
        assert!(trend(&jump).confidence_percent() < 50, "{:?}", trend(&jump));
    }

    #[test]
    fn spans_are_told_in_words() {
        let told = [0, 119, 120, 7_199, 7_200, 30_600, 172_800].map(duration_label);
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2.0 h", "8.5 h", "2 days"]);
    }

    proptest! {
        #[test]
        fn any_history_has_a_trend(samples in prop::collection::vec(any::<(u64, u64)>(), 0..40)) {
            let trend = Trend::of(samples.into_iter());
            prop_assert!(trend.confidence_percent() <= 100);
            let _ = trend.seconds_until(1, u64::MAX);
        }
    }
}
