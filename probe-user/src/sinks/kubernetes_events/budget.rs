//! How many Events may be written: a node in trouble must not become the API server's.

use std::time::Duration;

use tokio::time::Instant;

/// Events at once, as a client of Kubernetes' own has for each object (client-go, `EventCorrelator`).
pub const BURST: u32 = 25;
/// One more after so long: ten a minute.
const EARN: Duration = Duration::from_secs(6);

/// What may be written still.
pub struct Budget {
    left: u32,
    /// What was earned until then is in `left`.
    since: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: BURST, since: None }
    }
}

impl Budget {
    /// Whether there is some.
    pub fn has_some(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let earned = now.saturating_duration_since(since).as_secs() / EARN.as_secs();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(earned).min(BURST);
        // What is above the most there can be is not kept for later.
        let is_full = self.left == BURST;
        self.since = Some(if is_full { now } else { since + EARN * earned });
        self.left > 0
    }

    /// One was written.
    pub fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut Budget, now: Instant) -> u32 {
        let mut taken = 0;
        while budget.has_some(now) {
            budget.spend();
            taken += 1;
        }
        taken
    }

    #[test]
    fn a_burst_and_then_one_by_one() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        assert_eq!(taken(&mut budget, start), BURST);
        assert_eq!(taken(&mut budget, start + EARN / 2), 0);
        assert_eq!(taken(&mut budget, start + EARN), 1);
        // What was earned in part is not lost by asking.
        assert_eq!(taken(&mut budget, start + EARN * 3 / 2), 0);
        assert_eq!(taken(&mut budget, start + EARN * 4), 3);
        assert_eq!(taken(&mut budget, start + EARN * 10_000), BURST);
        assert_eq!(taken(&mut budget, start + EARN * 10_000), 0);
    }

    #[test]
    fn what_is_not_used_is_not_saved_up() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        assert!(budget.has_some(start));
        assert_eq!(taken(&mut budget, start + EARN * 5), BURST);
        assert_eq!(taken(&mut budget, start + EARN * 5), 0);
    }
}
