use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    config::kubernetes::KubernetesConfig,
    enrich::subject::Pod,
    metrics::Metrics,
    net::testing::{Act, Stub},
};

/// Longer than any answer here takes.
const GUARD: Duration = Duration::from_secs(60);

fn pod(name: &str, owner: &Value) -> Value {
    let reference = json!([{"kind": owner[0], "name": owner[1], "controller": true}]);
    json!({"metadata": {
        "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": "5",
        "labels": {"pod-template-hash": "abc"}, "ownerReferences": reference,
    }})
}

fn list(from: &str, pods: &[Value]) -> Act {
    let list = json!({"metadata": {"resourceVersion": "4", "continue": from}, "items": pods});
    Act::answer(200, list.to_string())
}

fn changes(lines: &[(&str, Value)]) -> Act {
    let line =
        |(kind, object): &(&str, Value)| format!("{}\n", json!({"type": kind, "object": object}));
    Act::answer(200, lines.iter().map(line).collect::<String>())
}

fn follower(stub: &Stub) -> (Follower, Arc<Pods>, Metrics) {
    let config = format!("api = 'http://{}'\nnode = 'n 1'\n[auth]\ntoken = 'secret'", stub.address);
    let config: KubernetesConfig = toml::from_str(&config).unwrap();
    let (metrics, pods) = (Metrics::new().unwrap(), Arc::<Pods>::default());
    let api = Api::new(&config.place().unwrap().unwrap()).unwrap();
    (Follower::new(api, Arc::clone(&pods), metrics.kubernetes.clone()), pods, metrics)
}

fn owner(pods: &Pods, name: &str) -> Option<String> {
    let mut pod = Pod { uid: format!("uid-{name}"), ..Pod::default() };
    pods.tell(&mut pod);
    let owner = pod.owner.map_or("nobody".into(), |owner| format!("{} {}", owner.kind, owner.name));
    pod.name.map(|_| owner)
}

/// What follows from these answers, up to the first that ends it.
async fn follow(acts: Vec<Act>) -> (Failure, Arc<Pods>, Metrics, Stub) {
    let stub = Stub::new(acts.into_iter().chain(std::iter::repeat(Act::answer(500, ""))));
    let (mut follower, pods, metrics) = follower(&stub);
    let end = timeout(GUARD, follower.once()).await.unwrap();
    (end, pods, metrics, stub)
}

fn text(failure: Failure) -> String {
    match failure {
        Failure::Gone => "gone".into(),
        Failure::Trouble(trouble) => format!("{} {}", trouble.reason.label(), trouble.text),
    }
}

#[tokio::test]
async fn pods_are_listed_page_by_page_and_then_watched() {
    let web = pod("web-abc-1", &json!(["ReplicaSet", "web-abc"]));
    let calico = pod("calico-x", &json!(["DaemonSet", "calico-node"]));
    let late = pod("db-0", &json!(["StatefulSet", "db"]));
    let bookmark = json!({"metadata": {"resourceVersion": "9"}});
    let (end, pods, metrics, stub) = follow(vec![
        list("more/1", &[web]),
        list("", &[calico]),
        changes(&[("ADDED", late.clone()), ("DELETED", late), ("BOOKMARK", bookmark)]),
        changes(&[("ERROR", json!({"code": 410, "message": "too old"}))]),
    ])
    .await;
    assert_eq!(text(end), "gone");
    assert_eq!(owner(&pods, "web-abc-1").as_deref(), Some("Deployment web"));
    assert_eq!(owner(&pods, "calico-x").as_deref(), Some("DaemonSet calico-node"));
    assert_eq!(owner(&pods, "db-0").as_deref(), Some("StatefulSet db"), "though it is gone");
    assert_eq!((metrics.kubernetes.pods.get(), metrics.kubernetes.watching.get()), (3, 1));
    let asked: Vec<_> = (0..4).map(|_| stub.next()).collect();
    assert!(asked.iter().all(|seen| seen.header("authorization") == "Bearer secret"));
    assert!(asked[0].path.contains("fieldSelector=spec.nodeName%3Dn%201"), "{}", asked[0].path);
    assert!(asked[0].header("accept").contains("PartialObjectMetadataList"));
    assert!(asked[1].path.ends_with("&continue=more%2F1"), "{}", asked[1].path);
    assert!(asked[2].path.contains("watch=1") && asked[2].path.ends_with("resourceVersion=4"));
    assert!(asked[3].path.ends_with("resourceVersion=9"), "{}", asked[3].path);
}

#[tokio::test]
async fn a_job_is_asked_for_its_owner_once() {
    let jobs = [1, 2].map(|n| pod(&format!("backup-{n}"), &json!(["Job", "backup-2891"])));
    let job = json!({"metadata": {"name": "backup-2891", "ownerReferences": [
        {"kind": "CronJob", "name": "backup", "controller": true}]}});
    let acts = vec![list("", &jobs), Act::answer(200, job.to_string())];
    let (_, pods, _, stub) = follow(acts).await;
    assert_eq!(owner(&pods, "backup-1").as_deref(), Some("CronJob backup"));
    assert_eq!(owner(&pods, "backup-2").as_deref(), Some("CronJob backup"));
    stub.next();
    assert_eq!(stub.next().path, "/apis/batch/v1/namespaces/shop/jobs/backup%2D2891");
    assert!(stub.next().path.contains("watch=1"), "it was asked for twice");
}

#[tokio::test]
async fn who_may_not_read_jobs_knows_the_job() {
    let one = pod("backup-1", &json!(["Job", "backup-2891"]));
    let no = json!({"kind": "Status", "code": 403, "message": "jobs is forbidden"}).to_string();
    let (_, pods, ..) = follow(vec![list("", &[one]), Act::answer(403, no)]).await;
    assert_eq!(owner(&pods, "backup-1").as_deref(), Some("Job backup-2891"));
}

#[tokio::test]
async fn trouble_is_told_with_what_to_do() {
    let said = json!({"kind": "Status", "code": 403, "message": "pods is forbidden"}).to_string();
    for (act, expected) in [
        (
            Act::answer(403, said),
            "auth it answers 403 Forbidden: pods is forbidden; let it get, list",
        ),
        (Act::answer(401, "who?"), "auth it answers 401 Unauthorized; is the token"),
        (Act::answer(429, ""), "busy it answers 429"),
        (Act::answer(503, ""), "server it answers 503"),
        (Act::answer(200, "<html>"), "protocol its answer is none of a Kubernetes API server"),
        (list("", &[json!({"metadata": [1]})]), "protocol"),
        (Act::Garbage, "protocol"),
        (Act::Close, "connect"),
    ] {
        let (end, pods, ..) = follow(vec![act]).await;
        let told = text(end);
        assert!(told.starts_with(expected), "{told}, not {expected}");
        assert_eq!(pods.len(), 0);
    }
}

#[tokio::test]
async fn a_list_without_end_is_left() {
    let pages = (0..=MOST_PAGES).map(|_| list("again", &[])).collect();
    assert!(text(follow(pages).await.0).contains("no end"));
}
