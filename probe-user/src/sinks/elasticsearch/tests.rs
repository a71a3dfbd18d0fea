use serde_json::{Value, json};

use super::{config::ElasticsearchConfig, *};
use crate::{
    net::testing::{Act, Stub},
    sinks::{
        backend::Trouble,
        testing::{Bench, COMM, hostile},
    },
};

fn bench(stub: &Stub, more: &str) -> Bench {
    Bench::new::<ElasticsearchConfig>(&format!("url = '{}'\n{more}", stub.url())).unwrap()
}

fn items(items: &[Value]) -> Act {
    Act::answer(200, json!({"errors": true, "items": items}).to_string())
}

#[test]
fn each_record_is_created_under_its_id() {
    let stub = Stub::new([Act::answer(200, "{\"errors\":false}")]);
    let record = hostile();
    let (id, at, json) = (record.meta.id.clone(), record.meta.at, record.json().to_owned());
    let answer = bench(&stub, "").send(vec![record, hostile()]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    let seen = stub.next();
    assert!(seen.path.starts_with("/logs-nodeprobe-default/_bulk?filter_path=errors,"));
    assert_eq!(seen.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(seen.body).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() == 4, "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"create": {"_id": id}}));
    let document = &lines[1];
    let field = |path: &str| path.split('.').fold(document, |value, name| &value[name]).clone();
    let expected = [
        ("@timestamp", json!(at)),
        ("message", json!(format!("{COMM} cannot fork"))),
        ("event.id", json!(id)),
        ("event.kind", json!("alert")),
        ("event.category", json!(["process"])),
        ("event.severity", json!(47)),
        ("event.original", json!(json)),
        ("rule.name", json!("fork-failures")),
        ("host.name", json!("node-1")),
        ("process.pid", json!(812)),
        ("process.name", json!(COMM)),
        ("process.executable", json!(format!("/{}", "x".repeat(255)))),
        ("process.parent.name", json!("sh")),
        ("container.name", json!("app")),
        ("orchestrator.namespace", json!("shop")),
        ("orchestrator.resource.name", json!("web-0")),
        ("nodeprobe.state", json!("firing")),
        ("nodeprobe.netns", json!(4_026_532_281_u32)),
        ("nodeprobe.fork_failures.failures", json!(1)),
        ("event.end", Value::Null),
    ];
    for (path, value) in expected {
        assert_eq!(field(path), value, "{path}");
    }
    assert!(!text.contains(":null"), "what is not known is left out: {text}");
}

#[test]
fn each_record_has_a_fate_of_its_own() {
    let error = json!({"type": "mapper_parsing_exception", "reason": "bad\nfield"});
    let stub = Stub::new([items(&[
        json!({"create": {"status": 201}}),
        json!({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}}),
        json!({"create": {"status": 400, "error": error}}),
        json!({"create": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}}),
        json!({"create": {"status": 503}}),
        json!({"create": {"status": 77}}),
    ])]);
    let Answer::Each(verdicts) = bench(&stub, "").send((0..6).map(|_| hostile()).collect()) else {
        panic!("not each")
    };
    let later = |verdict: &Verdict| match verdict {
        Verdict::Later(Trouble { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(verdicts[..2], [Verdict::Taken, Verdict::Taken]);
    let refused = "400 Bad Request: mapper_parsing_exception: bad field";
    assert_eq!(verdicts[2], Verdict::Refused(refused.into()));
    assert_eq!([later(&verdicts[3]), later(&verdicts[4])], [Reason::Busy, Reason::Busy]);
    assert!(matches!(verdicts[5], Verdict::Refused(_)));
}

#[test]
fn an_answer_that_is_none_is_no_success() {
    let stub = Stub::new([
        Act::answer(200, "<html>login</html>"),
        Act::answer(200, "{\"errors\":true,\"items\":[{\"index\":{}}]}"),
        Act::answer(401, "who?"),
        Act::answer(413, ""),
    ]);
    let mut bench = bench(&stub, "auth.token = 'key'\nauth.scheme = 'ApiKey'\ngzip = true");
    let mut reason = || match bench.send(vec![hostile()]) {
        Answer::Later { trouble, .. } => Some(trouble.reason),
        _ => None,
    };
    assert_eq!(reason(), Some(Reason::Protocol));
    assert_eq!(reason(), Some(Reason::Protocol));
    assert_eq!(reason(), Some(Reason::Auth));
    assert_eq!(reason(), None, "it is to be sent in smaller pieces");
    assert_eq!(stub.next().header("authorization"), "ApiKey key");
}

#[test]
fn a_name_is_checked() {
    let with = |name: &str| {
        let toml = format!("url = 'http://127.0.0.1'\ndata_stream = '{name}'");
        Bench::new::<ElasticsearchConfig>(&toml).map(drop)
    };
    assert_eq!(with("logs-nodeprobe-prod"), Ok(()));
    for name in ["", "Logs", "a/b", "_a", "a b", "logs-*"] {
        assert!(with(name).unwrap_err().contains("no name of a data stream"), "{name}");
    }
}
