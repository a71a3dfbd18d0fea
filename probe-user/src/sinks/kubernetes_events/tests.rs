use serde_json::Value;

use super::{budget::BURST, config::KubernetesEventsConfig, *};
use crate::{
    findings::Finding,
    net::testing::{Act, Stub},
    sinks::{
        backend::{Reason, Verdict},
        testing::{Bench, COMM, hostile, hostile_finding},
    },
};

fn bench(stub: &Stub) -> Bench {
    let settings = format!("api = '{}'\nnode = 'node-1'", stub.url());
    Bench::new::<KubernetesEventsConfig>(&settings).unwrap()
}

fn revision(finding: &Finding, revision: u32, state: State, severity: Severity) -> Record {
    Record::of_finding(Finding { revision, state, severity, ..finding.clone() })
}

fn firing(number: usize) -> Record {
    let id = format!("fork-failures-{number}");
    revision(&Finding { id, ..hostile_finding() }, 1, State::Firing, Severity::Warning)
}

/// Type and count of the next Event.
fn told(stub: &Stub) -> (String, u64) {
    let event = stub.next().json();
    (event["type"].as_str().unwrap().into(), event["count"].as_u64().unwrap())
}

fn forbidden() -> Act {
    let message = "events \"x\" is forbidden: User \"u\" cannot patch resource \"events\"";
    let status = serde_json::json!({"kind": "Status", "message": message});
    Act::answer(403, status.to_string())
}

#[test]
fn a_finding_about_a_pod_is_an_event_on_it() {
    let stub = Stub::new([]);
    let finding = hostile_finding();
    let answer = bench(&stub).send(vec![hostile()]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    let seen = stub.next();
    let path = percent_encoding::percent_decode_str(&seen.path).decode_utf8().unwrap();
    let name = format!("node-1.{}", finding.id);
    let place = format!("/api/v1/namespaces/shop/events/{name}");
    assert_eq!(path, format!("{place}?fieldManager=nodeprobe&force=true"));
    assert_eq!(seen.header("content-type"), "application/apply-patch+yaml");
    let event = seen.json();
    assert_eq!(
        (&event["metadata"]["name"], &event["metadata"]["namespace"]),
        (&name.into(), &"shop".into())
    );
    assert_eq!(
        event["involvedObject"],
        serde_json::json!({"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web-0",
                           "uid": "77-88"})
    );
    assert_eq!((&event["reason"], &event["type"]), (&"ForkFailures".into(), &"Warning".into()));
    assert_eq!(event["message"], format!("{COMM} cannot fork"));
    assert_eq!(event["metadata"]["annotations"]["nodeprobe/advice"], "look");
    assert_eq!(event["source"], serde_json::json!({"component": "nodeprobe", "host": "node-1"}));
    let last: jiff::Timestamp = event["lastTimestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(last.as_second(), finding.last_seen.as_second());
}

#[test]
fn without_all_of_a_pods_names_it_is_on_the_node() {
    let stub = Stub::new([]);
    let mut finding = hostile_finding();
    finding.subject.identity.pod.as_mut().unwrap().name = None;
    bench(&stub).send(vec![Record::of_finding(finding)]);
    let event = stub.next().json();
    let node =
        serde_json::json!({"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "node-1"});
    assert_eq!(
        (&event["involvedObject"], &event["metadata"]["namespace"]),
        (&node, &"default".into())
    );
}

#[test]
fn revisions_are_one_event_that_is_written_when_it_says_something_else() {
    let stub = Stub::new([]);
    let (finding, mut bench) = (hostile_finding(), bench(&stub));
    let info = |number| revision(&finding, number, State::Firing, Severity::Info);
    for batch in [
        vec![info(1)],
        vec![info(2)],
        // Of a batch the newest counts.
        vec![info(3), revision(&finding, 4, State::Firing, Severity::Critical)],
        vec![revision(&finding, 5, State::Resolved, Severity::Critical)],
        vec![revision(&finding, 5, State::Resolved, Severity::Critical)],
        vec![revision(&finding, 6, State::Firing, Severity::Critical)],
    ] {
        let answer = bench.send(batch);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    }
    let expected = [("Normal", 1), ("Warning", 4), ("Normal", 5), ("Warning", 6)];
    assert_eq!(expected.map(|_| told(&stub)), expected.map(|(kind, n)| (kind.to_owned(), n)));
}

#[test]
fn beginnings_are_bounded_and_ends_of_what_was_told_are_not() {
    let stub = Stub::new([]);
    let mut bench = bench(&stub);
    let many = BURST as usize + 15;
    let left_out = |answer: &Answer| match answer {
        Answer::Each(verdicts) => {
            verdicts.iter().map(|verdict| *verdict == Verdict::LeftOut).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let begun = left_out(&bench.send((0..many).map(firing).collect()));
    let told = begun.iter().filter(|left_out| !**left_out).count();
    // One more may have been earned meanwhile.
    assert!(told >= BURST as usize && told < many, "{told} of {many}");
    let end = |mut record: Record| {
        record.meta.state = Some(State::Resolved);
        Record::of_json(record.meta.clone(), record.json().to_owned())
    };
    let ended = left_out(&bench.send((0..many).map(firing).map(end).collect()));
    assert_eq!(ended[..told], vec![false; told], "an end was left out of what was told");
    assert!(ended[told..].contains(&true), "ends of what was not told are bounded too");
}

#[test]
fn trouble_costs_nothing_of_the_bound_and_nothing_is_lost() {
    let acts = std::iter::repeat_n(forbidden(), BURST as usize + 5).chain([Act::answer(500, "")]);
    let stub = Stub::new(acts.collect::<Vec<_>>());
    let mut bench = bench(&stub);
    for reason in std::iter::repeat_n(Reason::Auth, BURST as usize + 5).chain([Reason::Server]) {
        let answer = bench.send(vec![firing(0)]);
        let Answer::Later { trouble, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(trouble.reason, reason, "{trouble:?}");
    }
    assert!(matches!(bench.send(vec![firing(0)]), Answer::Taken { .. }));
}

#[test]
fn one_that_is_refused_holds_up_no_other() {
    let gone: Value =
        serde_json::json!({"kind": "Status", "message": "namespaces \"shop\" not found"});
    let stub = Stub::new([Act::answer(404, gone.to_string())]);
    let mut bench = bench(&stub);
    let Answer::Each(verdicts) = bench.send(vec![firing(0), firing(1)]) else { panic!() };
    assert!(matches!(&verdicts[..], [Verdict::Refused(_), Verdict::Taken]), "{verdicts:?}");
    assert!(matches!(bench.send(vec![firing(0)]), Answer::Taken { .. }), "it is not asked again");
}

#[test]
fn what_a_hook_told_is_no_event_of_kubernetes() {
    let mut meta = hostile().meta;
    meta.state = None;
    let stub = Stub::new([Act::answer(500, "it must not be asked")]);
    let answer = bench(&stub).send(vec![Record::of_json(meta, "{}".into())]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
}

#[test]
fn without_a_server_it_says_what_is_missing() {
    let why = Bench::new::<KubernetesEventsConfig>("api = 'none'").err().unwrap();
    assert!(why.contains("api be its address"), "{why}");
}
