//! Pods as Kubernetes's own API server tells of them, under its own RBAC.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

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
    programs,
    server::{Server, Site, takes_connections},
    until,
};

const NODE: &str = "worker-1";
/// What the agent is allowed, as it is deployed.
const RBAC: &str = include_str!("../../../deploy/kustomize/components/pod-owners/rbac.yaml");
/// Whom that is given to: the token stands for the service account.
const ACCOUNT: &str = "system:serviceaccount:nodeprobe:nodeprobe";

/// An API server, and the etcd behind it.
struct Cluster {
    _etcd: Server,
    api: Server,
}

impl Cluster {
    fn start() -> Result<Self> {
        let etcd = Server::start("etcd", 2, etcd, takes_connections)?;
        let behind = etcd.site().address(0);
        let api = Server::start(
            "kube-apiserver",
            1,
            move |site| api_server(site, &behind),
            |site| {
                ensure!(kubectl(site, &["get", "--raw", "/readyz"], "")?.contains("ok"));
                Ok(())
            },
        )?;
        let cluster = Self { _etcd: etcd, api };
        // RBAC's own roles come a little after readiness.
        until("there are namespaces", || cluster.kubectl(&["create", "namespace", "shop"], ""))?;
        cluster.kubectl(&["create", "namespace", "nodeprobe"], "")?;
        Ok(cluster)
    }

    fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        kubectl(self.api.site(), args, input)
    }

    fn pod(&self, name: &str, node: &str, owner: &Value) -> Result<String> {
        let mut owner = owner.clone();
        owner["uid"] = "0".into();
        owner["controller"] = true.into();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "ownerReferences": [owner],
                         "labels": {"pod-template-hash": "5d4f8c7b9"}},
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": "app"}]},
        });
        self.create(&pod)
    }

    /// Returns its uid.
    fn create(&self, object: &Value) -> Result<String> {
        let args = ["create", "--output", "jsonpath={.metadata.uid}", "-f", "-"];
        self.kubectl(&args, &object.to_string())
    }
}

fn etcd(site: &Site) -> Result<Command> {
    let (clients, peers) =
        (format!("http://{}", site.address(0)), format!("http://{}", site.address(1)));
    let mut command = programs::program("etcd")?;
    command.args(["--data-dir"]).arg(site.path("data"));
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    command.args(["--initial-cluster", &format!("default={peers}"), "--unsafe-no-fsync"]);
    Ok(command)
}

fn api_server(site: &Site, etcd: &str) -> Result<Command> {
    let [tokens, private, public] =
        ["tokens.csv", "private.pem", "public.pem"].map(|name| site.path(name));
    if !tokens.exists() {
        let key = rcgen::KeyPair::generate()?;
        fs::write(&private, key.serialize_pem())?;
        fs::write(&public, key.public_key_pem())?;
        let users = format!("admin,admin,1,system:masters\nagent,{ACCOUNT},2\n");
        fs::write(&tokens, users)?;
        fs::write(site.path("token"), "agent\n")?;
    }
    let mut command = programs::program("kube-apiserver")?;
    command.args(["--etcd-servers", &format!("http://{etcd}"), "--authorization-mode", "RBAC"]);
    command.args(["--bind-address", "127.0.0.1", "--secure-port", &site.ports[0].to_string()]);
    command.args(["--service-cluster-ip-range", "10.0.0.0/24"]);
    command.args(["--disable-admission-plugins", "ServiceAccount"]);
    command.args(["--service-account-issuer", "https://nodeprobe.test"]);
    command.arg("--cert-dir").arg(site.path("certs")).arg("--token-auth-file").arg(tokens);
    command.arg("--service-account-signing-key-file").arg(private);
    command.arg("--service-account-key-file").arg(public);
    Ok(command)
}

fn kubectl(site: &Site, args: &[&str], input: &str) -> Result<String> {
    let mut kubectl = programs::program("kubectl")?;
    let server = format!("--server=https://{}", site.address(0));
    kubectl.args([&server, "--token=admin", "--insecure-skip-tls-verify"]).args(args);
    kubectl.env("HOME", site.dir.path());
    let pipes = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().context("cannot run kubectl")?;
    child.stdin.take().context("kubectl has no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {args:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The part of the agent that asks.
struct Asks {
    pods: Arc<Pods>,
    metrics: Arc<Metrics>,
    _supervisor: Supervisor,
}

impl Asks {
    fn start(site: &Site) -> Result<Self> {
        let (url, token) = (site.address(0), site.path("token"));
        let ca = site.path("certs/apiserver.crt");
        let config = format!(
            "[kubernetes]\napi = 'https://{url}'\nnode = '{NODE}'\n[kubernetes.auth]\ntoken_file = '{}'\n\
             [kubernetes.tls]\nca_file = '{}'\n",
            token.display(),
            ca.display()
        );
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
    let asks = Asks::start(cluster.api.site())?;

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
    let anew = Asks::start(cluster.api.site())?;
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
    let asks = Asks::start(cluster.api.site())?;
    until("it is not known", || asks.failed("auth"))?;
    let web = cluster.pod("web-0", NODE, &owner("DaemonSet", "web"))?;
    fs::write(&token, "agent\n")?;
    asks.is_told(&web, "shop/web-0 of DaemonSet web")
}
