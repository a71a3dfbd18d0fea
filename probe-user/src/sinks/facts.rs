//! What a record tells, by name: for backends that file its parts under names of their own. Read from its
//! JSON, which is all there is of a record that comes back from a disk.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::record::Record;

/// The parts of a finding that have a place of their own elsewhere; an event has some of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The same through all revisions.
    pub id: Option<String>,
    pub revision: Option<u64>,
    pub flaps: Option<u64>,
    pub advice: Option<String>,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub incident: Option<IncidentFacts>,
    pub subject: SubjectFacts,
    /// The numbers, as the rule has them.
    pub evidence: Map<String, Value>,
}

/// What it is a part of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct IncidentFacts {
    pub id: String,
    pub line: String,
}

/// Whom it is about.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SubjectFacts {
    pub process: Option<ProcessFacts>,
    pub pod: Option<PodFacts>,
    pub container: Option<ContainerFacts>,
    /// The systemd unit.
    pub unit: Option<String>,
    pub cgroup: Option<CgroupFacts>,
    pub interface: Option<InterfaceFacts>,
    /// Inode number of the network namespace.
    pub netns: Option<u64>,
}

/// A process.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ProcessFacts {
    pub pid: Option<u64>,
    pub comm: Option<String>,
    pub exe: Option<String>,
    pub cmdline: Option<String>,
    /// Who started it.
    pub parent: Option<Box<ProcessFacts>>,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodFacts {
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub uid: Option<String>,
}

/// A container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContainerFacts {
    pub id: Option<String>,
    pub name: Option<String>,
    pub runtime: Option<String>,
}

/// A control group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CgroupFacts {
    pub path: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InterfaceFacts {
    pub name: Option<String>,
}

impl Facts {
    /// Of a record. What is not as expected, in JSON that was stored by an older agent, is not told.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        serde_json::from_str(record.json()).unwrap_or_default()
    }

    /// Namespace, pod and container, where they are known.
    #[must_use]
    pub fn place(&self) -> [(&'static str, Option<&str>); 3] {
        let (pod, container) = (self.subject.pod.as_ref(), self.subject.container.as_ref());
        [
            ("namespace", pod.and_then(|pod| pod.namespace.as_deref())),
            ("pod", pod.and_then(|pod| pod.name.as_deref())),
            ("container", container.and_then(|container| container.name.as_deref())),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::testing::hostile;

    #[test]
    fn a_finding_is_read_back_whole() {
        let record = hostile();
        let facts = Facts::of(&record);
        assert_eq!(format!("{}-{}", facts.id.unwrap(), facts.revision.unwrap()), record.meta.id);
        assert_eq!(
            (facts.last_seen, facts.advice.as_deref()),
            (Some(record.meta.at), Some("look"))
        );
        assert_eq!(facts.evidence["failures"], 1);
        let process = facts.subject.process.unwrap();
        assert_eq!(process.comm.as_deref(), Some(crate::sinks::testing::COMM));
        assert_eq!(process.parent.unwrap().comm.as_deref(), Some("sh"));
        assert_eq!(facts.subject.pod.unwrap().namespace.as_deref(), Some("shop"));
    }

    #[test]
    fn what_is_no_finding_tells_nothing() {
        let meta = hostile().meta;
        for json in ["[1]", "{\"subject\":7}", ""] {
            assert!(Facts::of(&Record::of_json(meta.clone(), json.into())).id.is_none());
        }
    }
}
