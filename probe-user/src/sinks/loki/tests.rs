use jiff::Timestamp;

use super::{config::LokiConfig, proto::PushRequest, *};
use crate::{
    findings::{Finding, Severity},
    net::testing::{Act, Seen, Stub},
    sinks::testing::{Bench, COMM, hostile, hostile_finding},
};

fn bench(stub: &Stub, more: &str) -> Bench {
    Bench::new::<LokiConfig>(&format!("url = '{}'\n{more}", stub.url())).unwrap()
}

fn push_of(seen: &Seen) -> PushRequest {
    let plain = snap::raw::Decoder::new().decompress_vec(&seen.body).unwrap();
    PushRequest::decode(plain.as_slice()).unwrap()
}

#[test]
fn a_record_is_an_entry_of_the_stream_of_its_labels() {
    let stub = Stub::new([Act::answer(204, "")]);
    let record = hostile();
    let (id, at, line) = (record.meta.id.clone(), record.meta.at, record.json().to_owned());
    let answer = bench(&stub, "tenant = 'me'\nlabels.cluster = 'a\"b'").send(vec![record]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    let seen = stub.next();
    assert_eq!(seen.path, "/loki/api/v1/push");
    assert_eq!(
        (seen.header("content-type"), seen.header("x-scope-orgid")),
        ("application/x-protobuf", "me")
    );
    let push = push_of(&seen);
    assert_eq!(push.streams.len(), 1);
    let stream = &push.streams[0];
    let labels = r#"{cluster="a\"b", kind="finding", node="node-1", rule="fork-failures", service_name="nodeprobe", severity="warning", signal="fork"}"#;
    assert_eq!(stream.labels, labels);
    let entry = &stream.entries[0];
    assert_eq!(entry.line, line);
    let told = entry.timestamp.unwrap();
    assert_eq!(Timestamp::new(told.seconds, told.nanos).unwrap(), at);
    let pairs = entry.structured_metadata.iter();
    let pairs: Vec<_> = pairs.map(|pair| (pair.name.as_str(), pair.value.as_str())).collect();
    for pair in [("record_id", id.as_str()), ("k8s_pod_name", "web-0"), ("process_command", COMM)] {
        assert!(pairs.contains(&pair), "{pair:?} in {pairs:?}");
    }
}

#[test]
fn entries_of_a_stream_are_in_the_order_of_their_times() {
    let stub = Stub::new([]);
    let finding = |second: i64, severity| {
        let last_seen = Timestamp::from_second(second).unwrap();
        Record::of_finding(Finding { last_seen, severity, ..hostile_finding() })
    };
    let batch =
        [(7, Severity::Info), (5, Severity::Warning), (3, Severity::Info), (9, Severity::Warning)];
    bench(&stub, "").send(batch.map(|(second, severity)| finding(second, severity)).into());
    let times = |stream: &proto::Stream| -> Vec<i64> {
        stream.entries.iter().map(|entry| entry.timestamp.unwrap().seconds).collect()
    };
    let push = push_of(&stub.next());
    assert_eq!(push.streams.iter().map(times).collect::<Vec<_>>(), [vec![3, 7], vec![5, 9]]);
}

#[test]
fn a_tenant_is_checked() {
    let toml = "url = 'http://127.0.0.1'\ntenant = 'a/b'";
    assert!(Bench::new::<LokiConfig>(toml).err().unwrap().contains("no tenant"));
}
