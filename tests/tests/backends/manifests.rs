//! The manifests of deploy/kustomize at Kubernetes's own API server: applied, read back, deleted.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::support::{cluster::Cluster, programs, until};

/// Kinds that this API server does not have.
const OF_OTHERS: &str = include_str!("manifests/crds.yaml");
const NAMESPACE: &str = "nodeprobe";
/// What Kubernetes makes of system-node-critical.
const NODE_CRITICAL: i64 = 2_000_001_000;
/// Prints a line for each object.
const NAMES: &str = "--output=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{\"\\n\"}{end}";

/// What the agent makes of the node and needs, each of which a server can drop without a word.
const NEEDED: &[(&str, &str)] = &[
    ("hostPID", "/spec/template/spec/hostPID"),
    ("tolerations", "/spec/template/spec/tolerations/0/operator"),
    ("the priority", "/spec/template/spec/priorityClassName"),
    ("a start-up probe", "/spec/template/spec/containers/0/startupProbe/httpGet/path"),
    ("a liveness probe", "/spec/template/spec/containers/0/livenessProbe/httpGet/path"),
    ("a readiness probe", "/spec/template/spec/containers/0/readinessProbe/httpGet/path"),
    ("the user", "/spec/template/spec/containers/0/securityContext/runAsUser"),
    (
        "a root that is read",
        "/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem",
    ),
];

/// Fields of which the server keeps nothing where they are false: that is what nothing means.
const FALSE_IS_NONE: &[&str] = &["/hostIPC", "/hostNetwork"];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kustomize")
}

/// The base, then every overlay.
fn kustomizations() -> Result<Vec<PathBuf>> {
    let overlays = fs::read_dir(directory().join("overlays"))?;
    let mut all: Vec<_> = overlays.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    all.sort();
    all.insert(0, directory().join("base"));
    Ok(all)
}

fn render(kustomization: &Path) -> Result<String> {
    let output = programs::kubectl_now()?.arg("kustomize").arg(kustomization).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot render {}: {said}", kustomization.display());
    Ok(String::from_utf8(output.stdout)?)
}

/// The documents of a rendering, as they are sent.
fn sent(cluster: &Cluster, text: &str) -> Result<Vec<Value>> {
    let json =
        cluster.kubectl(&["create", "--dry-run=client", "--output=json", "-f", "-"], text)?;
    let documents = serde_json::Deserializer::from_str(&json).into_iter();
    let documents: Vec<Value> = documents.collect::<Result<_, _>>()?;
    let kinds = text.lines().filter(|line| line.starts_with("kind:")).count();
    ensure!(documents.len() == kinds, "{} of {kinds} documents were read", documents.len());
    Ok(documents)
}

/// What the server keeps of them, in their order.
fn stored(cluster: &Cluster, documents: &[Value]) -> Result<Vec<Value>> {
    let text = json!({"apiVersion": "v1", "kind": "List", "items": documents}).to_string();
    let list = cluster.kubectl(&["get", "--output=json", "-f", "-"], &text)?;
    let mut list: Value = serde_json::from_str(&list)?;
    let stored: Vec<Value> = serde_json::from_value(list["items"].take())?;
    ensure!(stored.len() == documents.len(), "{} of {}", stored.len(), documents.len());
    Ok(stored)
}

/// Where what was sent is not stored, each place by its path. The server may add what it likes; a list that
/// is empty is as good as none.
fn dropped(sent: &Value, stored: Option<&Value>, place: &str, found: &mut Vec<String>) {
    match (sent, stored) {
        (Value::Null, None) => (),
        (Value::Bool(false), None) if FALSE_IS_NONE.iter().any(|key| place.ends_with(key)) => (),
        (Value::Array(sent), None) if sent.is_empty() => (),
        (Value::Object(sent), Some(Value::Object(stored))) => {
            for (key, sent) in sent {
                dropped(sent, stored.get(key), &format!("{place}/{key}"), found);
            }
        }
        (Value::Array(sent), Some(Value::Array(stored))) if sent.len() == stored.len() => {
            for (at, (sent, stored)) in sent.iter().zip(stored).enumerate() {
                dropped(sent, Some(stored), &format!("{place}/{at}"), found);
            }
        }
        (sent, Some(stored)) if sent == stored => (),
        (sent, stored) => {
            let stored = stored.map_or("nothing".to_owned(), Value::to_string);
            found.push(format!("{place}: {sent} was sent, and {stored} is stored"));
        }
    }
}

/// Fails unless all that was sent is stored; returns what is.
fn are_kept(cluster: &Cluster, sent: &[Value]) -> Result<Vec<Value>> {
    let all = stored(cluster, sent)?;
    let mut found = Vec::new();
    for (sent, stored) in sent.iter().zip(&all) {
        dropped(sent, Some(stored), sent["kind"].as_str().unwrap_or_default(), &mut found);
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(all)
}

fn of_kind(documents: &[Value], kind: &str) -> Result<Value> {
    let document = documents.iter().find(|document| document["kind"] == kind);
    document.cloned().with_context(|| format!("there is no {kind}"))
}

/// Every object of the cluster: `KIND NAMESPACE/NAME`.
fn objects(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let resources = cluster.kubectl_now(&["api-resources", "--verbs=list", "--output=name"])?;
    // Events are made and go as the server likes.
    let lasting = resources.lines().filter(|name| !name.starts_with("events"));
    let lasting = lasting.collect::<Vec<_>>().join(",");
    let all = cluster.kubectl_now(&["get", &lasting, "--all-namespaces", NAMES])?;
    Ok(all.lines().map(str::to_owned).collect())
}

/// The same once the server is done with what it makes itself.
fn settled(cluster: &Cluster) -> Result<BTreeSet<String>> {
    until("the server has made its own", || {
        let objects = objects(cluster)?;
        for own in ["Namespace /kube-node-lease", "Endpoints default/kubernetes"] {
            ensure!(objects.contains(own), "there is no {own} yet");
        }
        ensure!(objects == self::objects(cluster)?, "they become more");
        Ok(objects)
    })
}

/// A pod, as the controller of the DaemonSet would make one, passes the server's admission: the priority outside of
/// kube-system, and the quota, whose numbers its controller would have begun.
fn admits_a_pod(cluster: &Cluster, daemon_set: &Value) -> Result<()> {
    let url = format!("/api/v1/namespaces/{NAMESPACE}/resourcequotas/nodeprobe");
    let mut quota: Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", &url], "")?)?;
    quota["status"] = json!({"hard": quota["spec"]["hard"], "used": {"pods": "0"}});
    let status = format!("{url}/status");
    cluster.kubectl(&["replace", "--raw", &status, "-f", "-"], &quota.to_string())?;
    let mut pod = daemon_set["spec"]["template"].clone();
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    (pod["metadata"]["name"], pod["metadata"]["namespace"]) = (NAMESPACE.into(), NAMESPACE.into());
    pod["spec"]["nodeName"] = "worker-1".into();
    // The server learns of the numbers a moment later.
    until("a pod is admitted", || cluster.create(&pod))?;
    let stored = are_kept(cluster, &[pod])?;
    let priority = &stored[0]["spec"]["priority"];
    ensure!(*priority == NODE_CRITICAL, "the pod's priority is {priority}");
    let force = ["delete", "pod", NAMESPACE, "--grace-period=0", "--force"];
    cluster.kubectl(&[&["--namespace", NAMESPACE], &force[..]].concat(), "").map(drop)
}

/// Deletes a kustomization, after which there must be what was there before. The end of the empty namespace, which is
/// a controller's to make, is made here, as there is none.
fn delete(cluster: &Cluster, kustomization: &Path, before: &BTreeSet<String>) -> Result<()> {
    let path = kustomization.to_str().context("the path is no text")?;
    cluster.kubectl_now(&["delete", "--wait=false", "--kustomize", path])?;
    let (mut after, namespace) = (objects(cluster)?, format!("Namespace /{NAMESPACE}"));
    ensure!(after.remove(&namespace), "the namespace ends before what is in it");
    let differ: Vec<_> = after.symmetric_difference(before).collect();
    ensure!(differ.is_empty(), "it leaves, or takes with it, {differ:?}");
    let url = format!("/api/v1/namespaces/{NAMESPACE}");
    let mut namespace: Value =
        serde_json::from_str(&cluster.kubectl(&["get", "--raw", &url], "")?)?;
    ensure!(
        namespace["metadata"]["deletionTimestamp"].is_string(),
        "the namespace is not to be deleted"
    );
    namespace["spec"]["finalizers"] = json!([]);
    let finalize = format!("{url}/finalize");
    cluster.kubectl(&["replace", "--raw", &finalize, "-f", "-"], &namespace.to_string())?;
    let there = cluster.kubectl(&["get", "namespace", NAMESPACE, "--ignore-not-found"], "")?;
    ensure!(there.is_empty(), "the namespace stays: {there}");
    Ok(())
}

#[test]
fn what_is_applied_is_stored_and_a_deletion_leaves_nothing() -> Result<()> {
    let cluster = Cluster::empty()?;
    cluster.kubectl(&["create", "-f", "-"], OF_OTHERS)?;
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all"], "")?;
    let before = settled(&cluster)?;
    for kustomization in kustomizations()? {
        let name = kustomization.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = render(&kustomization)?;
        let sent = sent(&cluster, &text).context(name.clone())?;
        // The server alone judges.
        let apply = ["apply", "--server-side", "--validate=false", "-f", "-"];
        cluster.kubectl(&apply, &text).context(name.clone())?;
        let stored = are_kept(&cluster, &sent).context(name.clone())?;
        let daemon_set = of_kind(&stored, "DaemonSet").context(name.clone())?;
        for (what, place) in NEEDED {
            let there = daemon_set.pointer(place).is_some_and(|value| !value.is_null());
            ensure!(there, "{name}: the DaemonSet that is stored lacks {what} ({place})");
        }
        let more = objects(&cluster)?.difference(&before).count();
        ensure!(more == sent.len(), "{name}: {} were sent, {more} are there", sent.len());
        admits_a_pod(&cluster, &of_kind(&sent, "DaemonSet")?).context(name.clone())?;
        delete(&cluster, &kustomization, &before).context(name.clone())?;
        println!("{name}: {} objects", sent.len());
    }
    Ok(())
}

#[test]
fn a_wrong_manifest_is_refused_or_noticed() -> Result<()> {
    let cluster = Cluster::empty()?;
    cluster.kubectl(&["create", "-f", "-"], OF_OTHERS)?;
    cluster.kubectl(&["wait", "--for=condition=Established", "crd", "--all"], "")?;
    let read = |kustomization: &str| sent(&cluster, &render(&directory().join(kustomization))?);
    let create = |document: &Value| {
        cluster.kubectl(&["create", "--validate=false", "-f", "-"], &document.to_string())
    };
    let base = read("base")?;
    create(&of_kind(&base, "Namespace")?)?;
    let wrong: [(&str, &str, &str, Value); 5] = [
        ("base", "DaemonSet", "/spec/template/spec/hostPID", json!("yes")),
        (
            "base",
            "DaemonSet",
            "/spec/template/spec/containers/0/securityContext/capabilities/add",
            json!("BPF"),
        ),
        ("base", "DaemonSet", "/spec/template/spec/tolerations/0/operator", json!("Exist")),
        ("overlays/openshift", "SecurityContextConstraints", "/allowHostPID", json!("yes")),
        (
            "overlays/prometheus-operator",
            "PodMonitor",
            "/spec/podMetricsEndpoints/0/interval",
            json!(30),
        ),
    ];
    for (kustomization, kind, place, value) in wrong {
        let mut document = of_kind(&read(kustomization)?, kind)?;
        *document.pointer_mut(place).with_context(|| format!("{kind} has no {place}"))? = value;
        let refused = create(&document).err();
        ensure!(refused.is_some(), "the server takes {kind} with a wrong {place}");
    }
    // A field that the server does not know it drops without a word.
    let mut daemon_set = of_kind(&base, "DaemonSet")?;
    daemon_set["spec"]["template"]["spec"]["hostPid"] = true.into();
    create(&daemon_set)?;
    let noticed =
        are_kept(&cluster, &[daemon_set]).err().context("a dropped field is not noticed")?;
    ensure!(noticed.to_string().contains("/spec/template/spec/hostPid"), "{noticed}");
    Ok(())
}
