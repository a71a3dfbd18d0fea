//! Which records a sink gets.

use serde::{Deserialize, Serialize};

use super::record::{Kind, Meta};
use crate::findings::Severity;

/// Which events a sink is to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Events {
    #[default]
    None,
    /// Their numbers in an interval, by kind and who did it.
    Summed,
    /// Each.
    Raw,
}

/// What a sink is to get; the default is every finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub findings: bool,
    pub events: Events,
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
        Self { findings: true, events: Events::None, least: Severity::Info, signals, rules }
    }
}

impl Filter {
    /// Whether the sink is to get a record.
    #[must_use]
    pub fn lets_through(&self, meta: &Meta) -> bool {
        let wanted = match meta.kind {
            Kind::Event => self.events != Events::None,
            Kind::Finding => {
                self.findings && meta.severity >= self.least && named(&self.rules, &meta.rule)
            }
        };
        wanted && named(&self.signals, &meta.signal)
    }

    /// Whether the sink is to get the events of a signal in this form.
    #[must_use]
    pub fn wants(&self, form: Events, signal: &str) -> bool {
        self.events == form && named(&self.signals, signal)
    }
}

fn named(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|one| one == name)
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
        let events = Filter { events: Events::Raw, findings: false, ..all };
        assert!(events.lets_through(&event));
        assert!(events.wants(Events::Raw, "tc") && !events.wants(Events::Summed, "tc"));
        let of_tc = Filter { signals: vec!["tc".into()], ..events };
        assert!(of_tc.wants(Events::Raw, "tc") && !of_tc.wants(Events::Raw, "fork"));
    }
}
