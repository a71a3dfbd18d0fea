use super::{config::KubernetesConditionsConfig, *};
use crate::{
    findings::{Finding, Severity, State, testing::finding},
    net::testing::{Act, Stub},
    sinks::testing::Bench,
};

/// What a node may answer with.
const NODE: &str = r#"{"kind":"Node","status":{"conditions":[
    {"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z"},
    {"type":"NodeprobeFdLeak","status":"False","lastTransitionTime":"2026-01-02T00:00:00Z"},
    {"type":"NodeprobeQdiscFlapping","status":"True","lastTransitionTime":"2026-01-03T00:00:00Z"}]}}"#;

fn stub(more: impl IntoIterator<Item = Act>) -> Stub {
    let acts: Vec<_> = [Act::answer(200, NODE)].into_iter().chain(more).collect();
    Stub::new(acts)
}

fn bench(stub: &Stub) -> Bench {
    let settings = format!("api = '{}'\nnode = 'node-1'", stub.url());
    Bench::new::<KubernetesConditionsConfig>(&settings).unwrap()
}

/// One that has told the node that nothing holds.
fn begun(stub: &Stub) -> Bench {
    let mut bench = bench(stub);
    assert!(matches!(bench.send(vec![]), Answer::Taken { .. }));
    assert_eq!(stub.next().json(), json!({"status": {}}), "the first only reads");
    stub.next();
    bench
}

fn record(id: &str, rule: &'static str, state: State, severity: Severity) -> Record {
    let (id, last_seen) = (format!("{rule}-{id}"), Timestamp::now());
    let summary = format!("{rule} of somebody");
    Record::of_finding(Finding { id, rule, state, severity, last_seen, summary, ..finding() })
}

fn firing(id: &str, rule: &'static str) -> Record {
    record(id, rule, State::Firing, Severity::Warning)
}

fn resolved(id: &str, rule: &'static str) -> Record {
    record(id, rule, State::Resolved, Severity::Warning)
}

/// The conditions of the next request.
fn told(stub: &Stub) -> Vec<Value> {
    stub.next().json()["status"]["conditions"].as_array().unwrap().clone()
}

/// Status, reason and message of the one about forks.
fn forks(stub: &Stub) -> [String; 3] {
    let told = told(stub);
    ["status", "reason", "message"].map(|key| told[0][key].as_str().unwrap().into())
}

#[test]
fn at_the_start_none_holds_and_what_was_so_before_stays_as_old() {
    let stub = stub([]);
    let before = Timestamp::now().as_second();
    let answer = bench(&stub).send(vec![]);
    let Answer::Taken { said } = answer else { panic!("{answer:?}") };
    assert!(said.contains("node-1: NodeprobeForkExhaustion=False"), "{said}");
    let read = stub.next();
    assert_eq!(read.path, "/api/v1/nodes/node%2D1/status?fieldManager=nodeprobe");
    assert_eq!(read.header("content-type"), "application/strategic-merge-patch+json");
    let told = told(&stub);
    let field = |key: &str| told.iter().map(|one| one[key].as_str().unwrap()).collect::<Vec<_>>();
    let names = ["NodeprobeForkExhaustion", "NodeprobeQdiscFlapping", "NodeprobeFdLeak"];
    assert_eq!((field("type"), field("status")), (names.to_vec(), vec!["False"; 3]));
    assert_eq!(field("reason"), ["NoForkExhaustion", "NoQdiscFlapping", "NoFdLeak"]);
    assert!(field("message")[0].contains("fork-headroom"));
    let since = field("lastTransitionTime");
    let is_now = |time: &str| time.parse::<Timestamp>().unwrap().as_second() >= before;
    assert!(is_now(since[0]), "it was not there");
    assert!(is_now(since[1]), "it was True");
    assert_eq!(since[2], "2026-01-02T00:00:00Z");
    assert!(field("lastHeartbeatTime").into_iter().all(is_now));
}

#[test]
fn it_is_true_as_long_as_one_finding_fires() {
    let stub = stub([]);
    let mut bench = begun(&stub);
    bench.send(vec![firing("a", "fork-failures")]);
    let [status, reason, message] = forks(&stub);
    assert_eq!([&*status, &*reason], ["True", "ForkFailures"]);
    assert_eq!(message, "fork-failures of somebody");
    bench.send(vec![record("b", "fork-headroom", State::Firing, Severity::Critical)]);
    let [status, reason, message] = forks(&stub);
    assert_eq!([&*status, &*reason], ["True", "ForkHeadroom"], "the worst is the reason");
    assert_eq!(message, "fork-headroom of somebody (and 1 more)");
    bench.send(vec![resolved("b", "fork-headroom"), firing("c", "fork-failures")]);
    assert_eq!(forks(&stub)[1], "ForkFailures");
    // No news: nothing is sent.
    bench.send(vec![resolved("c", "fork-failures"), firing("a", "fork-failures")]);
    bench.send(vec![resolved("a", "fork-failures")]);
    let [status, reason, _] = forks(&stub);
    assert_eq!([&*status, &*reason], ["False", "NoForkExhaustion"]);
}

#[test]
fn the_time_of_a_transition_is_not_that_of_a_heartbeat() {
    let mut condition = Condition::of(&table::CONDITIONS[0]);
    let at = |minutes: i64| Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    let times = |condition: &Condition, now| {
        let encoded = condition.encode(now);
        ["lastTransitionTime", "lastHeartbeatTime"]
            .map(|key| encoded[key].as_str().unwrap().to_owned())
    };
    let (begun, later, end) = (at(1), at(6), at(11));
    condition.hear(&firing("a", "fork-failures"));
    condition.look(begun);
    condition.look(later);
    let time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(times(&condition, later), [time(begun), time(later)]);
    condition.hear(&resolved("a", "fork-failures"));
    condition.look(end);
    assert_eq!(times(&condition, end), [time(end), time(end)]);
}

#[test]
fn what_is_not_heard_of_any_more_is_over() {
    let mut condition = Condition::of(&table::CONDITIONS[0]);
    condition.hear(&firing("a", "fork-failures"));
    let now = Timestamp::now();
    condition.look(now + jiff::SignedDuration::from_mins(29));
    assert!(condition.words().ends_with("=True"));
    condition.look(now + jiff::SignedDuration::from_mins(31));
    assert!(condition.words().ends_with("=False"));
}

#[test]
fn notes_and_other_rules_make_no_condition() {
    let stub = stub([Act::answer(200, "{}"), Act::answer(500, "it must not be asked")]);
    let mut bench = begun(&stub);
    for one in [
        record("a", "fork-failures", State::Firing, Severity::Info),
        firing("b", "rtnl-pressure"),
        resolved("c", "fork-failures"),
    ] {
        assert!(matches!(bench.send(vec![one]), Answer::Taken { .. }));
    }
}

#[test]
fn trouble_is_waited_out() {
    let missing = r#"{"kind":"Status","message":"nodes \"node-1\" not found"}"#;
    let stub = stub([Act::answer(200, "{}"), Act::answer(404, missing), Act::answer(503, "")]);
    let mut bench = begun(&stub);
    for words in ["is the node's name right", "503"] {
        let answer = bench.send(vec![firing("a", "fork-failures")]);
        let Answer::Later { trouble, .. } = answer else { panic!("{answer:?}") };
        assert!(trouble.text.contains(words), "{trouble:?}");
        assert_eq!(forks(&stub)[0], "True");
    }
    assert!(matches!(bench.send(vec![]), Answer::Taken { .. }), "it was heard before");
    assert_eq!(forks(&stub)[0], "True");
}

#[test]
fn a_test_record_only_reads() {
    let stub = stub([Act::answer(500, "it must not be asked")]);
    let answer =
        bench(&stub).send(vec![record("a", "fork-failures", State::Firing, Severity::Info)]);
    assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    assert_eq!(stub.next().json(), json!({"status": {}}));
}

#[test]
fn it_is_due_at_once_and_then_now_and_then() {
    let stub = stub([]);
    let settings: KubernetesConditionsConfig =
        toml::from_str(&format!("api = '{}'\nnode = 'node-1'", stub.url())).unwrap();
    let site = crate::sinks::kinds::Site { sink: "test", node: "other".into() };
    let mut backend = crate::sinks::Kind::open(&settings, &site).unwrap();
    let before = backend.due().unwrap();
    assert!(before <= Instant::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(matches!(runtime.block_on(backend.send(&[])), Answer::Taken { .. }));
    assert!(backend.due().unwrap() >= before + HEARTBEAT);
}
