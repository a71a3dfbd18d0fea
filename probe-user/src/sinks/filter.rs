//! Which records a sink gets.

use super::record::{Kind, Meta};
use crate::findings::Severity;

/// What a sink is to get; the default is every finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub findings: bool,
    pub events: bool,
    /// The least severity of a finding.
    pub least: Severity,
    /// Names of signals; all when there is none.
    pub signals: Vec<String>,
    /// Names of rules; all when there is none.
    pub rules: Vec<String>,
}

impl Default for Filter {
    fn default() -> Self {
        let (signals, rules) = (Vec::new(), Vec::new());
        Self { findings: true, events: false, least: Severity::Info, signals, rules }
    }
}

impl Filter {
    /// Whether the sink is to get a record.
    #[must_use]
    pub fn lets_through(&self, meta: &Meta) -> bool {
        let named =
            |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
        let wanted = match meta.kind {
            Kind::Event => self.events,
            Kind::Finding => {
                self.findings && meta.severity >= self.least && named(&self.rules, &meta.rule)
            }
        };
        wanted && named(&self.signals, &meta.signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{findings::testing::finding, sinks::record::Record};

    #[test]
    fn each_condition_must_hold() {
        let meta = Record::of_finding(finding()).meta;
        let all = Filter::default();
        assert!(all.lets_through(&meta));
        assert!(!Filter { least: Severity::Critical, ..all.clone() }.lets_through(&meta));
        assert!(!Filter { signals: vec!["tc".into()], ..all.clone() }.lets_through(&meta));
        assert!(
            Filter { signals: vec!["tc".into(), "fork".into()], ..all.clone() }.lets_through(&meta)
        );
        assert!(!Filter { rules: vec!["tc-rewrites".into()], ..all.clone() }.lets_through(&meta));
        assert!(!Filter { findings: false, ..all.clone() }.lets_through(&meta));
        let event = Meta { kind: Kind::Event, severity: Severity::Info, ..meta };
        assert!(!all.lets_through(&event));
        let events = Filter { events: true, findings: false, ..all };
        assert!(events.lets_through(&event));
    }
}
