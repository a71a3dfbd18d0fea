//! What every `[sinks.NAME]` may hold beside the table of its kind.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::span::{Span, within};
use crate::{
    findings::Severity,
    signals::SIGNALS,
    sinks::{
        Policy,
        filter::{Events, Filter},
        kinds::SinkConfig,
        store::Most,
    },
};

/// Most sinks there may be.
pub const MOST: usize = 12;
/// Longest name of a sink (bytes): it is a label of metrics and the name of a directory.
const LONGEST_NAME: usize = 32;

/// `[sinks]`: by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SinksConfig(pub BTreeMap<String, SinkConfig>);

impl<'de> Deserialize<'de> for SinksConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sinks = BTreeMap::<String, SinkConfig>::deserialize(deserializer)?;
        if sinks.len() > MOST {
            return Err(D::Error::custom(format!("{} sinks; at most {MOST} are", sinks.len())));
        }
        Ok(Self(sinks))
    }
}

impl SinksConfig {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is wrong with a sink: its name, and why.
    #[must_use]
    pub fn wrong(&self) -> Option<(&str, String)> {
        self.0.iter().find_map(|(name, sink)| Some((name.as_str(), wrong(name, sink)?)))
    }
}

fn wrong(name: &str, sink: &SinkConfig) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(allowed) {
        return Some(format!(
            "a name of a sink has 1 to {LONGEST_NAME} characters, each of them a-z, 0-9 or -"
        ));
    }
    if crate::sinks::stdout::NAMES.contains(&name) {
        return Some(format!(
            "this name is taken by {name} itself, which has its keys in [output]"
        ));
    }
    let kinds = sink.kinds();
    let there_are = || crate::sinks::kinds::KINDS.join(", ");
    match kinds.as_slice() {
        [_] => None,
        [] => Some(format!(
            "it needs a table of its kind, [sinks.{name}.KIND]; there are {}",
            there_are()
        )),
        more => Some(format!(
            "it has tables of {} kinds ({}); one sink is of one",
            more.len(),
            more.join(", ")
        )),
    }
}

/// `[sinks.NAME.filter]`: what the sink gets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterConfig {
    /// Whether it gets findings.
    pub findings: bool,
    /// Which events it gets: none, their sums, or each.
    pub events: Events,
    /// The least severity of a finding that it gets.
    pub min_severity: Severity,
    /// Names of signals whose findings and events it gets; all when there is none.
    #[serde(deserialize_with = "signals")]
    pub signals: Vec<String>,
    /// Names of rules whose findings it gets; all when there is none.
    #[serde(deserialize_with = "rules")]
    pub rules: Vec<String>,
}

impl Default for FilterConfig {
    fn default() -> Self {
        let Filter { findings, events, least, signals, rules } = Filter::default();
        Self { findings, events, min_severity: least, signals, rules }
    }
}

impl FilterConfig {
    /// As sinks have it.
    #[must_use]
    pub fn filter(&self) -> Filter {
        let Self { findings, events, min_severity, signals, rules } = self.clone();
        Filter { findings, events, least: min_severity, signals, rules }
    }
}

fn signals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    known(deserializer, "signal", SIGNALS.iter().map(|signal| signal.name).collect())
}

fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let rules = SIGNALS.iter().flat_map(|signal| signal.rules);
    known(deserializer, "rule", rules.map(|rule| rule.name).collect())
}

fn known<'de, D: Deserializer<'de>>(
    deserializer: D,
    what: &str,
    there: Vec<&str>,
) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    match names.iter().find(|name| !there.contains(&name.as_str())) {
        None => Ok(names),
        Some(name) => Err(D::Error::custom(format!(
            "there is no {what} {name:?}; there are {}",
            there.join(", ")
        ))),
    }
}

/// `[sinks.NAME.batch]`: how records are handed over; what is not set is as the kind has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Most records of a batch.
    #[serde(deserialize_with = "records", skip_serializing_if = "Option::is_none")]
    pub records: Option<usize>,
    /// Most of a batch (KiB).
    #[serde(deserialize_with = "kib", skip_serializing_if = "Option::is_none")]
    pub kib: Option<usize>,
    /// How long a batch may wait to become larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linger: Option<Span>,
    /// How long the other side may take to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Longest pause between two tries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_pause: Option<Span>,
}

impl BatchConfig {
    /// A policy, with what is configured in place of its own.
    #[must_use]
    pub fn over(&self, policy: Policy) -> Policy {
        let or = |span: Option<Span>, usual: Duration| span.map_or(usual, Span::duration);
        let most = Most {
            records: self.records.unwrap_or(policy.most.records),
            bytes: self.kib.map_or(policy.most.bytes, |kib| kib * 1024),
        };
        let longest_pause = or(self.longest_pause, policy.longest_pause);
        Policy {
            most,
            linger: or(self.linger, policy.linger),
            timeout: or(self.timeout, policy.timeout),
            first_pause: policy.first_pause.min(longest_pause),
            longest_pause,
            ..policy
        }
    }
}

fn records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    within::<D, 1, 10_000>(deserializer).map(Some)
}

fn kib<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    within::<D, 1, 16_384>(deserializer).map(Some)
}
