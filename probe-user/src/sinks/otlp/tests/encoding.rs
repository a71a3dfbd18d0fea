use std::sync::Arc;

use prost::Message;
use serde_json::json;

use crate::{
    findings::{Severity, testing::finding},
    sinks::{
        otlp::{
            encode::{request, resource},
            proto::{Any, AnyValue, ExportLogsServiceRequest, KeyValue, LogRecord, Resource},
        },
        record::Record,
    },
    text::testing::{is_plain, records},
};

/// What the other side reads: the resource, and the log records.
fn decoded(batch: &[Arc<Record>]) -> (Resource, Vec<LogRecord>) {
    let request = request(&resource(), batch);
    let request = ExportLogsServiceRequest::decode(request.as_slice()).unwrap();
    let [logs] = &request.resource_logs[..] else { panic!("{request:?}") };
    let [scope] = &logs.scope_logs[..] else { panic!("{request:?}") };
    assert_eq!(scope.scope.as_ref().unwrap().name, "nodeprobe");
    (logs.resource.clone().unwrap(), scope.log_records.clone())
}

fn of(record: Record) -> LogRecord {
    let (_, records) = decoded(&[Arc::new(record)]);
    let [record] = &records[..] else { panic!("{records:?}") };
    record.clone()
}

fn with(json: &serde_json::Value) -> LogRecord {
    let meta = Record::of_finding(finding()).meta;
    of(Record::of_json(meta, json.to_string()))
}

fn get<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Any> {
    let all = attributes.iter().filter(|attribute| attribute.key == key);
    let [attribute] = &all.collect::<Vec<_>>()[..] else { return None };
    attribute.value.as_ref()?.value.as_ref()
}

fn text(text: &str) -> Any {
    Any::String(text.into())
}

#[test]
fn a_finding_is_a_log_record() {
    let finding = finding();
    let record = of(Record::of_finding(finding.clone()));
    assert_eq!(u128::from(record.time_unix_nano), finding.last_seen.as_nanosecond() as u128);
    assert_eq!(record.observed_time_unix_nano, record.time_unix_nano);
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "warning"));
    assert_eq!(record.body, Some(AnyValue { value: Some(text(&finding.summary)) }));
    assert_eq!(record.event_name, "nodeprobe.fork_failures");
    let value = |key| get(&record.attributes, key).cloned();
    assert_eq!(value("log.record.uid"), Some(text(&format!("{}-1", finding.id))));
    assert_eq!(value("nodeprobe.rule"), Some(text("fork-failures")));
    assert_eq!(value("nodeprobe.revision"), Some(Any::Int(1)));
    assert_eq!(value("nodeprobe.state"), Some(text("firing")));
    assert_eq!(value("nodeprobe.evidence.failures"), Some(Any::Int(1)));
    assert_eq!(value("nodeprobe.summary"), None, "the body has it");
}

#[test]
fn severities_are_numbered_as_the_data_model_has_them() {
    let of = |severity| {
        let meta = Record::of_finding(finding()).meta;
        let meta = crate::sinks::record::Meta { severity, ..meta };
        of(Record::of_json(meta, "{}".into())).severity_number
    };
    assert_eq!(Severity::ALL.map(of), [9, 13, 18]);
}

#[test]
fn the_resource_tells_who_and_where() {
    let (resource, _) = decoded(&[]);
    let value = |key| get(&resource.attributes, key);
    assert_eq!(value("service.name"), Some(&text("nodeprobe")));
    assert_eq!(value("service.version"), Some(&text(env!("CARGO_PKG_VERSION"))));
    assert!(value("host.name").is_some());
    let Some(Any::String(instance)) = value("service.instance.id") else { panic!("{resource:?}") };
    assert_eq!(instance.len(), 36, "{instance}");
    assert_eq!(decoded(&[]).0, resource, "it stays as long as the agent runs");
}

#[test]
fn what_the_conventions_name_has_their_names() {
    let record = with(&json!({
        "subject": {
            "process": {
                "pid": 4711, "comm": "calico-node", "exe": "/bin/calico-node",
                "cmdline": "calico-node -felix", "started": "2026-11-21T10:00:00Z",
                "parent": { "pid": 1, "comm": "runit" },
            },
            "cgroup": { "id": 77, "path": "/kubepods/x" },
            "pod": { "name": "calico-x", "namespace": "kube-system", "uid": "u-1", "qos": "burstable",
                     "owner": { "kind": "DaemonSet", "name": "calico" } },
            "container": { "id": "c0ffee", "name": "calico", "runtime": "containerd" },
            "interface": { "index": 3, "name": "cali1" },
            "netns": 4_026_531_840_u64,
        },
    }));
    let value = |key: &str| get(&record.attributes, key).cloned();
    let texts = [
        ("process.command", "calico-node"),
        ("process.executable.path", "/bin/calico-node"),
        ("process.command_line", "calico-node -felix"),
        ("process.creation.time", "2026-11-21T10:00:00Z"),
        ("process.linux.cgroup", "/kubepods/x"),
        ("k8s.pod.name", "calico-x"),
        ("k8s.namespace.name", "kube-system"),
        ("k8s.pod.uid", "u-1"),
        ("k8s.container.name", "calico"),
        ("container.id", "c0ffee"),
        ("container.runtime.name", "containerd"),
        ("network.interface.name", "cali1"),
        ("k8s.daemonset.name", "calico"),
        ("nodeprobe.subject.pod.qos", "burstable"),
        ("nodeprobe.subject.process.parent.comm", "runit"),
    ];
    for (key, expected) in texts {
        assert_eq!(value(key), Some(text(expected)), "{key}");
    }
    assert_eq!(value("process.pid"), Some(Any::Int(4711)));
    assert_eq!(value("process.parent_pid"), Some(Any::Int(1)));
    assert_eq!(value("nodeprobe.subject.netns"), Some(Any::Int(4_026_531_840)));
    let alone = with(&json!({ "subject": { "container": { "name": "web" } } }));
    assert_eq!(get(&alone.attributes, "container.name"), Some(&text("web")), "in no pod");
}

#[test]
fn names_are_attributes_as_they_are_and_the_body_is_one_line() {
    for (name, record) in records() {
        let (_, told) = decoded(&[record]);
        for key in ["process.command", "network.interface.name", "k8s.pod.name", "container.id"] {
            assert_eq!(get(&told[0].attributes, key), Some(&text(name)), "{key}");
        }
        let Some(AnyValue { value: Some(Any::String(body)) }) = &told[0].body else { panic!() };
        assert!(is_plain(body), "{body:?}");
    }
}

#[test]
fn every_kind_of_value_comes_through() {
    let hostile = "a\0b\n\"\u{1b}[31m\u{202e}\u{fffd}é";
    let record = with(&json!({
        "nothing": null, "flag": true, "half": 0.5, "less": -1, "most": u64::MAX,
        hostile: hostile, "list": [1, "two", null, { "three": 3, "none": null }],
    }));
    let value = |key: &str| get(&record.attributes, key).cloned();
    assert_eq!(value("nodeprobe.nothing"), None);
    assert_eq!(value("nodeprobe.flag"), Some(Any::Bool(true)));
    assert_eq!(value("nodeprobe.half"), Some(Any::Double(0.5)));
    assert_eq!(value("nodeprobe.less"), Some(Any::Int(-1)));
    assert_eq!(value("nodeprobe.most"), Some(text("18446744073709551615")));
    assert_eq!(value(&format!("nodeprobe.{hostile}")), Some(text(hostile)));
    let Some(Any::Array(list)) = value("nodeprobe.list") else { panic!("{record:?}") };
    let [one, two, none, map] = &list.values[..] else { panic!("{list:?}") };
    assert_eq!((&one.value, &two.value), (&Some(Any::Int(1)), &Some(text("two"))));
    assert_eq!(none.value, None, "a place in a list stays");
    let Some(Any::Map(map)) = &map.value else { panic!("{map:?}") };
    assert_eq!(get(&map.values, "three"), Some(&Any::Int(3)));
    assert_eq!(map.values.len(), 1);
}

#[test]
fn a_record_without_json_still_has_what_it_is_filed_by() {
    for broken in ["", "[1]", "{\"a\":", "null"] {
        let meta = Record::of_finding(finding()).meta;
        let record = of(Record::of_json(meta.clone(), broken.into()));
        assert_eq!(get(&record.attributes, "log.record.uid"), Some(&text(&meta.id)));
        assert_eq!(record.attributes.len(), 1, "{broken}");
    }
}
