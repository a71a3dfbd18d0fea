//! A finding as the agent prints it: typed where the scenarios look, whole where they pass it on.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A finding: its typed fields and the JSON they were read from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Finding {
    /// The fields the scenarios know by name.
    pub fields: Fields,
    raw: Value,
}

/// The fields of a finding. Fields added later are tolerated.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Fields {
    pub id: String,
    pub revision: u64,
    pub state: State,
    pub signal: String,
    pub rule: String,
    pub severity: Severity,
    pub summary: String,
    pub advice: String,
    pub first_seen: String,
    pub last_seen: String,
    #[serde(default)]
    pub subject: Subject,
    #[serde(default)]
    pub evidence: Value,
}

/// Whether the condition still holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Firing,
    Resolved,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// What the finding is about; what the agent could not tell is absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
pub struct Subject {
    pub process: Option<Process>,
    pub cgroup: Option<Cgroup>,
    pub netns: Option<u64>,
    pub interface: Option<Interface>,
}

/// A process of a subject.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Process {
    pub pid: u32,
    pub comm: String,
    pub exe: Option<String>,
    pub parent: Option<Box<Process>>,
}

/// A cgroup of a subject.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Cgroup {
    pub id: u64,
    pub path: Option<String>,
}

/// A network interface of a subject.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Interface {
    pub index: i64,
    pub name: Option<String>,
}

impl Finding {
    /// The JSON the agent printed.
    #[must_use]
    pub const fn raw(&self) -> &Value {
        &self.raw
    }

    /// The culprit in a few words: the process and what started it, else the cgroup.
    #[must_use]
    pub fn who(&self) -> Option<String> {
        let subject = &self.fields.subject;
        if let Some(process) = &subject.process {
            return Some(match &process.parent {
                Some(parent) => format!("{} (parent {})", process.comm, parent.comm),
                None => process.comm.clone(),
            });
        }
        subject.cgroup.as_ref().and_then(|cgroup| cgroup.path.clone())
    }
}

impl TryFrom<Value> for Finding {
    type Error = serde_json::Error;

    fn try_from(raw: Value) -> Result<Self, Self::Error> {
        Ok(Self { fields: Fields::deserialize(&raw)?, raw })
    }
}

impl From<Finding> for Value {
    fn from(finding: Finding) -> Self {
        finding.raw
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { rule, severity, state, summary, .. } = &self.fields;
        write!(f, "{rule} {severity} {state}: {summary}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A finding as the agent would print it.
    pub(crate) const LINE: &str = concat!(
        r#"{"id":"tc-handle-toggle-1f3a","revision":1,"state":"firing","signal":"tc","#,
        r#""rule":"tc-handle-toggle","severity":"critical","summary":"handles toggle","advice":"upgrade","#,
        r#""first_seen":"2026-11-21T08:40:00.123456Z","last_seen":"2026-11-21T08:40:01Z","#,
        r#""subject":{"process":{"pid":812,"comm":"tc","parent":{"pid":40,"comm":"calico-node"}},"#,
        r#""netns":4026531840,"interface":{"index":3,"name":"cali1"}},"#,
        r#""evidence":{"toggles":3,"handles":[1,2]},"added_later":true}"#
    );

    #[test]
    fn a_finding_is_passed_on_byte_for_byte() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        assert_eq!(serde_json::to_string(&finding).unwrap(), LINE);
    }

    #[test]
    fn the_culprit_is_the_process_and_its_parent() {
        let finding: Finding = serde_json::from_str(LINE).unwrap();
        assert_eq!(finding.who().as_deref(), Some("tc (parent calico-node)"));
        assert!(finding.fields.severity > Severity::Warning);
    }
}
