//! A record as a document with the field names of ECS (Elastic Common Schema 8.11), and under `nodeprobe`
//! what that has no names for.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{
    findings::{Severity, State},
    sinks::{
        facts::{Facts, ProcessFacts},
        record::{Kind, Meta, Record},
    },
};

/// The version of the schema.
const ECS: &str = "8.11.0";

/// The body of a request: for each record what is to be done with it, and the document.
pub fn body(node: &str, batch: &[Arc<Record>]) -> Vec<u8> {
    let lines = batch
        .iter()
        .flat_map(|record| [json!({"create": {"_id": record.meta.id}}), document(node, record)]);
    lines.map(|line| format!("{line}\n")).collect::<String>().into()
}

/// The document of a record.
pub fn document(node: &str, record: &Record) -> Value {
    let (meta, facts) = (&record.meta, Facts::of(record));
    let mut document = Map::new();
    let subject = &facts.subject;
    let places = [
        ("agent", json!({"type": "nodeprobe", "version": env!("CARGO_PKG_VERSION")})),
        ("container", subject.container.as_ref().map_or(Value::Null, |container| {
            json!({"id": container.id, "name": container.name, "runtime": container.runtime})
        })),
        ("ecs", json!({"version": ECS})),
        ("event", event(record, &facts)),
        ("host", json!({"name": node, "hostname": node})),
        ("log", json!({"level": meta.severity.name(), "logger": meta.signal})),
        ("message", json!(meta.summary)),
        ("nodeprobe", own(meta, &facts)),
        ("observer", subject.interface.as_ref().map_or(Value::Null, |interface| {
            json!({"ingress": {"interface": {"name": interface.name}}})
        })),
        ("orchestrator", subject.pod.as_ref().map_or(Value::Null, |pod| {
            let resource = json!({"type": "pod", "name": pod.name, "id": pod.uid});
            json!({"type": "kubernetes", "namespace": pod.namespace, "resource": resource})
        })),
        ("process", subject.process.as_ref().map_or(Value::Null, process)),
        ("rule", json!({"name": meta.rule, "category": meta.signal})),
        ("service", json!({"name": "nodeprobe"})),
        ("@timestamp", json!(meta.at)),
    ];
    for (name, value) in places {
        document.insert(name.into(), value);
    }
    let mut document = Value::Object(document);
    without_nulls(&mut document);
    document
}

fn event(record: &Record, facts: &Facts) -> Value {
    let meta = &record.meta;
    let (kind, dataset) = match meta.kind {
        Kind::Finding => ("alert", "nodeprobe.finding"),
        Kind::Event => ("event", "nodeprobe.event"),
    };
    let category = match meta.signal.as_str() {
        "fork" | "fd" => "process",
        "tc" | "netlink" | "rtnl" => "network",
        _ => "host",
    };
    // The scores of Elastic's own rules: low, medium and critical.
    let severity = match meta.severity {
        Severity::Info => 21,
        Severity::Warning => 47,
        Severity::Critical => 99,
    };
    json!({
        "id": meta.id,
        "kind": kind,
        "category": [category],
        "type": [if meta.state == Some(State::Resolved) { "end" } else { "info" }],
        "action": meta.rule,
        "severity": severity,
        "module": "nodeprobe",
        "dataset": dataset,
        "start": facts.first_seen,
        "end": facts.last_seen.filter(|_| meta.state == Some(State::Resolved)),
        "original": record.json(),
    })
}

fn process(process: &ProcessFacts) -> Value {
    let parent =
        process.parent.as_ref().map(|parent| json!({"pid": parent.pid, "name": parent.comm}));
    json!({
        "pid": process.pid,
        "name": process.comm,
        "executable": process.exe,
        "command_line": process.cmdline,
        "parent": parent,
    })
}

/// What has no name in ECS. Of the numbers of a rule those that are of one kind in all its documents:
/// a field that is once a number and once an object would be refused. All of them are in the original.
fn own(meta: &Meta, facts: &Facts) -> Value {
    let mut own = json!({
        "finding": facts.id,
        "revision": facts.revision,
        "state": meta.state,
        "severity": meta.severity,
        "flaps": facts.flaps,
        "advice": facts.advice,
        "incident": facts.incident.as_ref().map(|incident| {
            json!({"id": incident.id, "line": incident.line})
        }),
        "unit": facts.subject.unit,
        "cgroup": facts.subject.cgroup.as_ref().and_then(|cgroup| cgroup.path.clone()),
        "netns": facts.subject.netns,
    });
    let numbers: Map<String, Value> = facts
        .evidence
        .iter()
        .filter(|(_, value)| value.is_number() || value.is_boolean())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(own) = own.as_object_mut().filter(|_| !numbers.is_empty()) {
        own.insert(meta.rule.replace('-', "_"), Value::Object(numbers));
    }
    own
}

/// What is not known is left out, and what holds nothing then with it.
fn without_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(without_nulls);
        fields
            .retain(|_, value| !value.is_null() && value.as_object().is_none_or(|o| !o.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::testing::{is_plain, records};

    #[test]
    fn no_name_makes_a_line() {
        for (name, record) in records() {
            let body = String::from_utf8(body(name, &[Arc::clone(&record), record])).unwrap();
            let lines: Vec<Value> = body
                .split_terminator('\n')
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let [first, document, second, _] = &lines[..] else { panic!("{body}") };
            assert_eq!((first, first["create"].as_object().unwrap().len()), (second, 1));
            for path in ["/process/name", "/process/executable", "/host/name", "/nodeprobe/cgroup"]
            {
                assert_eq!(document.pointer(path).unwrap(), name, "{path}");
            }
            assert!(is_plain(document["message"].as_str().unwrap()));
        }
    }
}
