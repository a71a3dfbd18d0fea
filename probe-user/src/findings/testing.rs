//! A condition and a finding for tests.

use super::{Condition, Evidence, Finding, Rule, Severity, Who, book::Book, clock::Clock};
use crate::{enrich::subject::Subject, signals::fork::ForkEvidence};

pub const SECOND: u64 = 1_000_000_000;

static RULE: Rule = Rule {
    name: "fork-failures",
    signal: "fork",
    meaning: "",
    computed: "",
    keys: &[],
    false_alarms: "",
    advice: "look",
};

/// A condition that holds ten seconds longer than it is seen.
pub fn condition(key: u64, severity: Severity, at: u64) -> Condition {
    let evidence = Evidence::Fork(ForkEvidence { failures: at / SECOND, ..Default::default() });
    Condition { rule: &RULE, key, severity, at, hold: 10 * SECOND, who: Who::default(), evidence }
}

/// A finding that fires.
pub fn finding() -> Finding {
    let condition = condition(1, Severity::Warning, SECOND);
    Book::default().hold(condition, Clock::now(), |_| Subject::default()).expect("fires")
}
