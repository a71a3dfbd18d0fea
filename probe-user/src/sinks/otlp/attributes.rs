//! The fields of a record as attributes: by the names of OpenTelemetry's semantic conventions where they
//! have one, else by their place in the record's JSON, below `nodeprobe.`.

use serde_json::{Map, Number, Value};

use super::proto::{Any, AnyValue, ArrayValue, KeyValue, KeyValueList};

/// Places in the JSON of a record that the conventions (1.43) have a name for.
const NAMES: &[(&str, &str)] = &[
    ("subject.process.pid", "process.pid"),
    ("subject.process.comm", "process.command"),
    ("subject.process.exe", "process.executable.path"),
    ("subject.process.cmdline", "process.command_line"),
    ("subject.process.started", "process.creation.time"),
    ("subject.process.parent.pid", "process.parent_pid"),
    ("subject.cgroup.path", "process.linux.cgroup"),
    ("subject.pod.name", "k8s.pod.name"),
    ("subject.pod.namespace", "k8s.namespace.name"),
    ("subject.pod.uid", "k8s.pod.uid"),
    ("subject.container.id", "container.id"),
    ("subject.container.runtime", "container.runtime.name"),
    ("subject.interface.name", "network.interface.name"),
];

/// Name of a container: what the runtime calls it, but in a pod what its manifest does.
const CONTAINER_NAME: &str = "subject.container.name";

/// What made a pod, by its kind.
const OWNER: &str = "subject.pod.owner";
const OWNERS: &[(&str, &str)] = &[
    ("CronJob", "k8s.cronjob.name"),
    ("DaemonSet", "k8s.daemonset.name"),
    ("Deployment", "k8s.deployment.name"),
    ("Job", "k8s.job.name"),
    ("ReplicaSet", "k8s.replicaset.name"),
    ("ReplicationController", "k8s.replicationcontroller.name"),
    ("StatefulSet", "k8s.statefulset.name"),
];

/// Fields that a log record has a place of its own for.
const ELSEWHERE: &[&str] = &["summary", "severity"];

/// An attribute.
#[must_use]
pub fn attribute(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    pair(key.into(), Any::String(value.into()))
}

/// All that the JSON of a record says, flat.
#[must_use]
pub fn of_record(json: &str) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    // A record's JSON is an object; of anything else there would be nothing to name.
    if let Ok(Value::Object(fields)) = serde_json::from_str(json) {
        let in_pod = fields.get("subject").is_some_and(|subject| subject.get("pod").is_some());
        flatten("", fields, in_pod, &mut attributes);
    }
    attributes
}

fn flatten(path: &str, fields: Map<String, Value>, in_pod: bool, attributes: &mut Vec<KeyValue>) {
    for (field, value) in fields {
        let path = match path {
            "" => field,
            _ => format!("{path}.{field}"),
        };
        match value {
            Value::Object(owner) if path == OWNER && workload(&owner).is_some() => {
                attributes.extend(workload(&owner).map(|(key, name)| attribute(key, name)));
            }
            Value::Object(fields) => flatten(&path, fields, in_pod, attributes),
            _ if ELSEWHERE.contains(&path.as_str()) => {}
            _ => attributes.extend(any(value).map(|value| pair(name(path, in_pod), value))),
        }
    }
}

/// Key and name of a workload that the conventions know.
fn workload(owner: &Map<String, Value>) -> Option<(&'static str, &str)> {
    let of = |field| owner.get(field).and_then(Value::as_str);
    let (kind, name) = (of("kind")?, of("name")?);
    OWNERS.iter().find(|(known, _)| *known == kind).map(|(_, key)| (*key, name))
}

fn name(path: String, in_pod: bool) -> String {
    match NAMES.iter().find(|(place, _)| *place == path) {
        Some((_, name)) => (*name).into(),
        None if path == CONTAINER_NAME && in_pod => "k8s.container.name".into(),
        None if path == CONTAINER_NAME => "container.name".into(),
        None => format!("nodeprobe.{path}"),
    }
}

fn pair(key: String, value: Any) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }) }
}

/// A JSON value; `None` for null, which is no value.
fn any(value: Value) -> Option<Any> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Any::Bool(value),
        Value::Number(number) => of_number(&number),
        Value::String(value) => Any::String(value),
        Value::Array(values) => {
            let value = |value| AnyValue { value: any(value) };
            Any::Array(ArrayValue { values: values.into_iter().map(value).collect() })
        }
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let values = fields.filter_map(|(key, value)| Some(pair(key, any(value)?)));
            Any::Map(KeyValueList { values: values.collect() })
        }
    })
}

/// As "Mapping arbitrary data to OTLP AnyValue" has it: an integer beyond 63 bits is a string.
fn of_number(number: &Number) -> Any {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Any::Int(integer),
        (None, Some(double)) if !number.is_u64() => Any::Double(double),
        _ => Any::String(number.to_string()),
    }
}
