//! A finding as an Event of Kubernetes (core/v1). Its sister of events.k8s.io forbids to change what an Event
//! says, and a finding gets worse, or is over.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    findings::{Severity, State},
    kubernetes::write::{MANAGER, part},
    sinks::{
        facts::{Facts, PodFacts},
        record::Record,
    },
    text::cut,
};

/// Longest name of an object (bytes, RFC 1123 as apimachinery has it).
const LONGEST_NAME: usize = 253;
/// Longest message (characters): a longer one is refused by the newer API of Events.
const LONGEST_MESSAGE: usize = 1_000;
/// Where Events are about what is in no namespace, as a node.
const NOWHERE: &str = "default";

/// An Event, and where it is.
pub struct Event {
    /// Path and query.
    pub path: String,
    pub object: Value,
}

impl Event {
    /// Of a revision of a finding on this node. All revisions are one Event: `count` is the newest.
    pub fn of(record: &Record, state: State, node: &str) -> Self {
        let (meta, facts) = (&record.meta, Facts::of(record));
        let pod = facts.subject.pod.as_ref().and_then(known);
        let (namespace, about) = match pod {
            Some([namespace, name, uid]) => (
                namespace,
                json!({"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": name,
                       "uid": uid}),
            ),
            // `kubectl describe node` looks for a node's Events by this uid, as the kubelet has it there.
            None => {
                (NOWHERE, json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": node}))
            }
        };
        let name = name(node, meta.finding());
        let path = format!(
            "/api/v1/namespaces/{}/events/{}?fieldManager={MANAGER}&force=true",
            part(namespace),
            part(&name)
        );
        let firing = state == State::Firing;
        let (over, kind) = match (firing, meta.severity) {
            (true, Severity::Warning | Severity::Critical) => ("", "Warning"),
            (true, Severity::Info) => ("", "Normal"),
            (false, _) => ("over: ", "Normal"),
        };
        let annotations = json!({
            "nodeprobe/finding": meta.finding(),
            "nodeprobe/severity": meta.severity.name(),
            "nodeprobe/advice": facts.advice.unwrap_or_default(),
        });
        let object = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
            "involvedObject": about,
            "type": kind,
            "reason": reason(&meta.rule),
            "message": format!("{over}{}", cut(&meta.summary, LONGEST_MESSAGE)),
            "count": facts.revision.unwrap_or(1),
            "firstTimestamp": time(facts.first_seen.unwrap_or(meta.at)),
            "lastTimestamp": time(meta.at),
            "source": {"component": MANAGER, "host": node},
            "reportingComponent": MANAGER,
            "reportingInstance": node,
        });
        Self { path, object }
    }
}

/// Namespace, name and uid of a pod of which all are known. The uid is the kubelet's, under which `kubectl
/// describe` looks for Events of static pods too.
fn known(pod: &PodFacts) -> Option<[&str; 3]> {
    let PodFacts { name, namespace, uid } = pod;
    Some([namespace.as_deref()?, name.as_deref()?, uid.as_deref()?])
}

/// A name that no other node's finding has.
fn name(node: &str, finding: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(finding.len() + 1);
    format!("{}.{finding}", cut(node, room).trim_end_matches(['.', '-']))
}

/// `fork-failures` as the reason `ForkFailures`.
pub fn reason(rule: &str) -> String {
    let words = rule.split('-').filter_map(|word| {
        let mut letters = word.chars();
        let first = letters.next()?.to_ascii_uppercase();
        Some(format!("{first}{}", letters.as_str()))
    });
    words.collect()
}

/// As `metav1.Time` has it: to the second.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_of_rules() {
        assert_eq!(reason("fork-failures"), "ForkFailures");
        assert_eq!(reason("rtnl--pressure"), "RtnlPressure");
        assert_eq!(reason(""), "");
    }

    #[test]
    fn names_are_no_longer_than_allowed() {
        assert_eq!(name("n1.example", "fd-leak-0a"), "n1.example.fd-leak-0a");
        let long = format!("{}-{}", "n".repeat(241), "x".repeat(11));
        let name = name(&long, "fd-leak-0a");
        assert_eq!(name, format!("{}.fd-leak-0a", "n".repeat(241)));
    }
}
