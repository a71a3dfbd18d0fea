//! Pauses between two tries: each longer than the last, none the same on two nodes.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Longest time that the other side may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// The pauses of one sink.
pub struct Pauses {
    builder: ExponentialBuilder,
    backoff: ExponentialBackoff,
    longest: Duration,
}

impl Pauses {
    /// From the first to the longest, doubling, each with up to as much again by chance: a backend that
    /// comes back is not met by all nodes at once.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(first)
            .with_max_delay(longest)
            .without_max_times()
            .with_jitter();
        Self { builder, backoff: builder.build(), longest }
    }

    /// The next pause; at least as long as the other side asked for.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.backoff.next().unwrap_or(self.longest);
        pause.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }

    /// It worked: the next failure is a first one.
    pub fn reset(&mut self) {
        self.backoff = self.builder.build();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_begin_anew() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let mut pauses = Pauses::new(first, longest);
        let all: Vec<_> = (0..10).map(|_| pauses.next(None)).collect();
        assert!((first..first * 2).contains(&all[0]), "{all:?}");
        assert!(all[9] >= longest && all.iter().all(|pause| *pause <= longest * 2), "{all:?}");
        assert_eq!(pauses.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pauses.next(Some(Duration::MAX)), LONGEST_ASKED, "nobody asks for forever");
        pauses.reset();
        assert!(pauses.next(None) < first * 2);
    }
}
