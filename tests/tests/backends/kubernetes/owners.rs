//! Pods as Kubernetes's own API server tells of them, under its own RBAC.

use std::{fs, sync::Arc};

use anyhow::{Context, Result, ensure};
use probe_user::{
    config::load,
    enrich::subject::Pod,
    kubernetes::{self, pods::Pods},
    metrics::Metrics,
    supervise::Supervisor,
};
use serde_json::{Value, json};

use crate::support::{
    cluster::{Cluster, NODE},
    until,
};

/// What the agent is allowed, as it is deployed.
const RBAC: &str = include_str!("../../../../deploy/kustomize/components/pod-owners/rbac.yaml");

/// The part of the agent that asks.
struct Asks {
    pods: Arc<Pods>,
    metrics: Arc<Metrics>,
    _supervisor: Supervisor,
}

impl Asks {
    fn start(cluster: &Cluster) -> Result<Self> {
        let config = cluster.settings("kubernetes");
        let config = load::parse("test", &config)?.kubernetes;
        let metrics = Arc::new(Metrics::new()?);
        let mut supervisor = Supervisor::new(Arc::clone(&metrics));
        let pods = kubernetes::start(&config, &metrics, &mut supervisor)?;
        Ok(Self { pods: pods.context("nobody is asked")?, metrics, _supervisor: supervisor })
    }

    /// `NAMESPACE/NAME of KIND OWNER`, when it is known.
    fn told(&self, uid: &str) -> Result<String> {
        let mut pod = Pod { uid: uid.to_owned(), ..Pod::default() };
        self.pods.tell(&mut pod);
        let (namespace, name) = pod.namespace.zip(pod.name).context("the pod is not known")?;
        let owner = pod.owner.map(|owner| format!(" of {} {}", owner.kind, owner.name));
        Ok(format!("{namespace}/{name}{}", owner.unwrap_or_default()))
    }

    fn is_told(&self, uid: &str, expected: &str) -> Result<()> {
        until(&format!("{expected} is known"), || {
            let told = self.told(uid)?;
            ensure!(told == expected, "{told}, not {expected}");
            Ok(())
        })
    }

    fn watches(&self, well: bool) -> Result<()> {
        until(&format!("that it watches is {well}"), || {
            ensure!((self.metrics.kubernetes.watching.get() == 1) == well);
            Ok(())
        })
    }

    fn failed(&self, reason: &str) -> Result<()> {
        let text = String::from_utf8(self.metrics.encode()?)?;
        let series = format!("nodeprobe_kubernetes_failures_total{{reason=\"{reason}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(series.as_str()));
        ensure!(count.is_some_and(|count| count != "0"), "{series}{count:?}");
        Ok(())
    }
}

fn owner(kind: &str, name: &str) -> Value {
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    json!({"apiVersion": version, "kind": kind, "name": name})
}

#[test]
fn pods_and_who_owns_them() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let web = cluster.pod("web-0", NODE, &owner("ReplicaSet", "web-5d4f8c7b9"))?;
    let other = cluster.pod("web-1", "worker-2", &owner("ReplicaSet", "web-5d4f8c7b9"))?;
    let asks = Asks::start(&cluster)?;

    until("it is not let in", || asks.failed("auth"))?;
    ensure!(asks.pods.is_empty(), "it was let in without a role");
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    asks.is_told(&web, "shop/web-0 of Deployment web")?;
    asks.watches(true)?;

    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "backup-28", "namespace": "shop", "ownerReferences": [{
            "apiVersion": "batch/v1beta1", "kind": "CronJob", "name": "backup", "uid": "0",
            "controller": true}]},
        "spec": {"template": {"spec": {"restartPolicy": "Never",
                                       "containers": [{"name": "app", "image": "app"}]}}},
    });
    cluster.create(&job)?;
    let backup = cluster.pod("backup-28-x", NODE, &owner("Job", "backup-28"))?;
    asks.is_told(&backup, "shop/backup-28-x of CronJob backup")?;
    cluster.kubectl(
        &["--namespace=shop", "delete", "pod", "backup-28-x", "--grace-period=0", "--force"],
        "",
    )?;

    cluster.api.kill()?;
    asks.watches(false)?;
    asks.is_told(&backup, "shop/backup-28-x of CronJob backup")?;
    cluster.api.up()?;
    // More than one page of them.
    for n in 0..60 {
        cluster.pod(&format!("db-{n}"), NODE, &owner("StatefulSet", "db"))?;
    }
    let last = cluster.pod("db-60", NODE, &owner("StatefulSet", "db"))?;
    asks.is_told(&last, "shop/db-60 of StatefulSet db")?;
    let anew = Asks::start(&cluster)?;
    anew.is_told(&last, "shop/db-60 of StatefulSet db")?;
    anew.is_told(&web, "shop/web-0 of Deployment web")?;
    ensure!(asks.told(&other).is_err() && anew.told(&other).is_err(), "it is another node's");
    Ok(())
}

#[test]
fn a_token_that_the_server_does_not_know() -> Result<()> {
    let cluster = Cluster::start()?;
    cluster.kubectl(&["apply", "-f", "-"], RBAC)?;
    let token = cluster.api.site().path("token");
    fs::write(&token, "expired\n")?;
    let asks = Asks::start(&cluster)?;
    until("it is not known", || asks.failed("auth"))?;
    let web = cluster.pod("web-0", NODE, &owner("DaemonSet", "web"))?;
    fs::write(&token, "agent\n")?;
    asks.is_told(&web, "shop/web-0 of DaemonSet web")
}
