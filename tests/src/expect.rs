//! What a finding must look like, and how far one is from it.

use std::fmt;

use serde_json::Value;

use crate::finding::{Finding, Severity};
use crate::scenario::Unseen;

/// A finding that must come, as checks on the JSON the agent prints.
#[derive(Clone, Debug)]
pub struct Expectation {
    checks: Vec<Check>,
    unseen_on: Option<&'static Unseen>,
}

/// One check of one field, named by its JSON pointer.
#[derive(Clone, Debug)]
struct Check {
    pointer: &'static str,
    want: Want,
}

#[derive(Clone, Debug)]
enum Want {
    Is(Value),
    BeginsWith(String),
    EndsWith(String),
    AtLeast(u64),
    Below(u64),
    Absent,
}

impl Expectation {
    fn new() -> Self {
        Self { checks: Vec::new(), unseen_on: None }
    }

    /// A finding of this rule that fires.
    #[must_use]
    pub fn firing(rule: &'static str) -> Self {
        Self::new().is("/rule", rule).is("/state", "firing")
    }

    /// The end of a finding seen before.
    #[must_use]
    pub fn resolved(id: &str) -> Self {
        Self::new().is("/id", id).is("/state", "resolved")
    }

    /// A finding of this rule that is over, with its last numbers.
    #[must_use]
    pub fn over(rule: &'static str) -> Self {
        Self::new().is("/rule", rule).is("/state", "resolved")
    }

    /// Where it cannot come, and nothing may be said.
    #[must_use]
    pub fn unless_unseen(mut self, unseen: &'static Unseen) -> Self {
        self.unseen_on = Some(unseen);
        self
    }

    /// Where it cannot come.
    #[must_use]
    pub fn unseen_on(&self) -> Option<&'static Unseen> {
        self.unseen_on
    }

    /// How bad it must be called.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        self.is("/severity", severity.to_string())
    }

    /// A field must have this value.
    #[must_use]
    pub fn is(self, pointer: &'static str, value: impl Into<Value>) -> Self {
        self.check(pointer, Want::Is(value.into()))
    }

    /// A text must begin like this.
    #[must_use]
    pub fn begins_with(self, pointer: &'static str, begin: impl Into<String>) -> Self {
        self.check(pointer, Want::BeginsWith(begin.into()))
    }

    /// A text must end like this.
    #[must_use]
    pub fn ends_with(self, pointer: &'static str, end: impl Into<String>) -> Self {
        self.check(pointer, Want::EndsWith(end.into()))
    }

    /// A number must be this or more.
    #[must_use]
    pub fn at_least(self, pointer: &'static str, least: u64) -> Self {
        self.check(pointer, Want::AtLeast(least))
    }

    /// A number must be less than this.
    #[must_use]
    pub fn below(self, pointer: &'static str, bound: u64) -> Self {
        self.check(pointer, Want::Below(bound))
    }

    /// A field must not be there: it cannot be known.
    #[must_use]
    pub fn without(self, pointer: &'static str) -> Self {
        self.check(pointer, Want::Absent)
    }

    fn check(mut self, pointer: &'static str, want: Want) -> Self {
        self.checks.push(Check { pointer, want });
        self
    }

    /// Whether this is the finding.
    #[must_use]
    pub fn met_by(&self, finding: &Finding) -> bool {
        self.checks.iter().all(|check| check.met_by(finding))
    }

    /// Whether the finding is about the same thing, in whatever state or severity.
    #[must_use]
    pub fn claims(&self, finding: &Finding) -> bool {
        let identity = |pointer: &str| pointer == "/rule" || pointer.starts_with("/subject");
        self.checks
            .iter()
            .filter(|check| identity(check.pointer))
            .all(|check| check.met_by(finding))
    }

    /// The finding that fails the fewest checks, and what is wrong with it.
    #[must_use]
    pub fn closest<'a>(&self, findings: impl IntoIterator<Item = &'a Finding>) -> Option<String> {
        let misses = |finding: &Finding| -> Vec<String> {
            let missed = self.checks.iter().filter(|check| !check.met_by(finding));
            missed.map(|check| check.miss(finding)).collect()
        };
        let scored = findings.into_iter().map(|finding| (misses(finding), finding));
        let (misses, finding) = scored.min_by_key(|(misses, _)| misses.len())?;
        Some(format!("{finding} (but {})", misses.join(", ")))
    }
}

impl Check {
    fn met_by(&self, finding: &Finding) -> bool {
        let Some(found) = finding.raw().pointer(self.pointer) else {
            return matches!(self.want, Want::Absent);
        };
        match &self.want {
            Want::Is(value) => found == value,
            Want::BeginsWith(begin) => found.as_str().is_some_and(|text| text.starts_with(begin)),
            Want::EndsWith(end) => found.as_str().is_some_and(|text| text.ends_with(end)),
            Want::AtLeast(least) => found.as_u64().is_some_and(|number| number >= *least),
            Want::Below(bound) => found.as_u64().is_some_and(|number| number < *bound),
            Want::Absent => false,
        }
    }

    fn miss(&self, finding: &Finding) -> String {
        match finding.raw().pointer(self.pointer) {
            Some(found) => format!("{} is {found}, not {}", self.pointer, self.want),
            None => format!("{} is missing, not {}", self.pointer, self.want),
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => write!(f, "{value}"),
            Self::BeginsWith(begin) => write!(f, "\"{begin}…\""),
            Self::EndsWith(end) => write!(f, "\"…{end}\""),
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::Absent => f.write_str("absent"),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<String> =
            self.checks.iter().map(|check| format!("{}: {}", check.pointer, check.want)).collect();
        write!(f, "finding with {}", checks.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::tests::LINE;

    fn wanted(interface: &str, toggles: u64) -> Expectation {
        Expectation::firing("tc-handle-toggle")
            .severity(Severity::Critical)
            .is("/subject/interface/name", interface)
            .is("/subject/netns", 4_026_531_840_u64)
            .at_least("/evidence/toggles", toggles)
    }

    #[test]
    fn a_finding_meets_its_expectation() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        assert!(wanted("cali1", 3).met_by(&finding));
        assert!(!wanted("cali2", 3).met_by(&finding));
    }

    #[test]
    fn a_near_miss_is_claimed_and_explained() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        let wanted = wanted("cali1", 4);
        assert!(!wanted.met_by(&finding) && wanted.claims(&finding));
        let closest = wanted.closest([&finding]).unwrap();
        assert!(closest.ends_with("(but /evidence/toggles is 3, not >= 4)"), "{closest}");
    }

    #[test]
    fn what_cannot_be_known_must_not_be_there() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        assert!(wanted("cali1", 3).without("/subject/process/exe").met_by(&finding));
        let named = wanted("cali1", 3).without("/subject/process/comm");
        let closest = named.closest([&finding]).unwrap();
        assert!(
            closest.ends_with("(but /subject/process/comm is \"tc\", not absent)"),
            "{closest}"
        );
    }

    #[test]
    fn another_subject_is_not_claimed() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        assert!(!wanted("cali2", 1).claims(&finding));
    }
}
