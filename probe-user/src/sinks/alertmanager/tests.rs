use jiff::SignedDuration;
use serde_json::Value;

use super::{config::AlertmanagerConfig, *};
use crate::{
    findings::{Finding, Severity, State},
    net::testing::{Act, Stub},
    sinks::testing::{Bench, COMM, hostile, hostile_finding},
};

fn bench(stub: &Stub, more: &str) -> Bench {
    Bench::new::<AlertmanagerConfig>(&format!("url = '{}'\n{more}", stub.url())).unwrap()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn revision(finding: &Finding, revision: u32, state: State, severity: Severity) -> Record {
    Record::of_finding(Finding { revision, state, severity, ..finding.clone() })
}

/// Severity and whether it has ended, of each alert of the next request.
fn told(stub: &Stub) -> Vec<(String, bool)> {
    let alerts = stub.next().json();
    let alerts = alerts.as_array().unwrap().iter();
    let ended = |alert: &Value| time(&alert["endsAt"]) <= Timestamp::now();
    alerts
        .map(|alert| (alert["labels"]["severity"].as_str().unwrap().into(), ended(alert)))
        .collect()
}

#[test]
fn a_finding_that_fires_is_an_alert_that_ends_later() {
    let stub = Stub::new([]);
    let finding = hostile_finding();
    let before = Timestamp::now();
    let answer = bench(&stub, "labels.cluster = 'c1'").send(vec![hostile()]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    let seen = stub.next();
    assert_eq!(seen.path, "/api/v2/alerts");
    let alert = &seen.json()[0];
    let labels = serde_json::json!({
        "alertname": "fork-failures", "severity": "warning", "signal": "fork", "node": "node-1",
        "namespace": "shop", "pod": "web-0", "container": "app", "finding": finding.id, "cluster": "c1",
    });
    assert_eq!(alert["labels"], labels);
    assert_eq!(alert["annotations"]["summary"], format!("{COMM} cannot fork"));
    assert_eq!(alert["annotations"]["advice"], "look");
    assert!(alert["annotations"]["incident"].is_string());
    assert!(time(&alert["startsAt"]) <= Timestamp::now());
    assert!(time(&alert["endsAt"]) >= before + SignedDuration::from_mins(30));
}

#[test]
fn its_end_is_when_it_held_last() {
    let stub = Stub::new([]);
    let mut finding = hostile_finding();
    finding.first_seen = "2026-01-02T03:04:05Z".parse().unwrap();
    finding.last_seen = "2026-01-02T03:05:06.5Z".parse().unwrap();
    let mut bench = bench(&stub, "");
    bench.send(vec![revision(&finding, 2, State::Resolved, Severity::Warning)]);
    let alert = &stub.next().json()[0];
    assert_eq!(
        (&alert["startsAt"], &alert["endsAt"]),
        (&"2026-01-02T03:04:05Z".into(), &"2026-01-02T03:05:06.5Z".into())
    );
    finding.last_seen = finding.first_seen;
    bench.send(vec![revision(&finding, 2, State::Resolved, Severity::Warning)]);
    let alert = &stub.next().json()[0];
    assert!(time(&alert["endsAt"]) > time(&alert["startsAt"]), "it would be refused");
}

#[test]
fn one_that_gets_worse_ends_as_what_it_was() {
    let stub = Stub::new([Act::answer(200, ""), Act::answer(500, "")]);
    let (finding, mut bench) = (hostile_finding(), bench(&stub, ""));
    let pair = |severity: &str, ended| (severity.to_owned(), ended);
    bench.send(vec![revision(&finding, 1, State::Firing, Severity::Warning)]);
    assert_eq!(told(&stub), [pair("warning", false)]);
    for _ in 0..2 {
        // The first is not taken, so that both go again.
        bench.send(vec![revision(&finding, 2, State::Firing, Severity::Critical)]);
        assert_eq!(told(&stub), [pair("warning", true), pair("critical", false)]);
    }
    bench.send(vec![revision(&finding, 3, State::Firing, Severity::Critical)]);
    assert_eq!(told(&stub), [pair("critical", false)]);
    bench.send(vec![revision(&finding, 4, State::Resolved, Severity::Critical)]);
    assert_eq!(told(&stub), [pair("critical", true)]);
}

#[test]
fn of_a_batch_the_newest_counts() {
    let stub = Stub::new([]);
    let (finding, mut bench) = (hostile_finding(), bench(&stub, ""));
    let other = Finding { id: "other".into(), ..finding.clone() };
    bench.send(vec![
        revision(&finding, 1, State::Firing, Severity::Warning),
        revision(&other, 1, State::Firing, Severity::Info),
        revision(&finding, 2, State::Firing, Severity::Critical),
        revision(&finding, 3, State::Resolved, Severity::Critical),
    ]);
    let pair = |severity: &str, ended| (severity.to_owned(), ended);
    assert_eq!(told(&stub), [pair("info", false), pair("warning", true), pair("critical", true)]);
}

#[test]
fn an_event_is_no_alert() {
    let mut meta = hostile().meta;
    meta.state = None;
    let stub = Stub::new([Act::answer(500, "it must not be asked")]);
    let answer = bench(&stub, "").send(vec![Record::of_json(meta, "{}".into())]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
}
