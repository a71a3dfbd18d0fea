//! A cluster: Kubernetes's own API server, without controllers and without nodes.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    programs,
    server::{Server, Site, takes_connections},
    until,
};

/// The node that an agent is on.
pub const NODE: &str = "worker-1";
/// Whom the agent's rights are given to: the token stands for the service account.
const ACCOUNT: &str = "system:serviceaccount:nodeprobe:nodeprobe";

/// An API server, and the etcd behind it.
pub struct Cluster {
    _etcd: Server,
    /// The API server.
    pub api: Server,
}

impl Cluster {
    /// One with the namespaces `shop` and `nodeprobe`.
    pub fn start() -> Result<Self> {
        let cluster = Self::empty()?;
        // RBAC's own roles come a little after readiness.
        until("there are namespaces", || cluster.kubectl(&["create", "namespace", "shop"], ""))?;
        cluster.kubectl(&["create", "namespace", "nodeprobe"], "")?;
        Ok(cluster)
    }

    /// One that has nothing but what it makes itself.
    pub fn empty() -> Result<Self> {
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
        Ok(Self { _etcd: etcd, api })
    }

    /// Runs kubectl as the administrator; returns what it prints.
    pub fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        kubectl(self.api.site(), args, input)
    }

    /// The same with the kubectl that renders kustomizations.
    pub fn kubectl_now(&self, args: &[&str]) -> Result<String> {
        ask(programs::kubectl_now()?, self.api.site(), args, "")
    }

    /// Creates a pod of the namespace `shop` on a node, with who controls it; returns its uid.
    pub fn pod(&self, name: &str, node: &str, owner: &Value) -> Result<String> {
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

    /// What `kubectl get` says of something, as JSON.
    pub fn get(&self, args: &[&str]) -> Result<Value> {
        let args = [&["get", "--output=json"], args].concat();
        Ok(serde_json::from_str(&self.kubectl(&args, "")?)?)
    }

    /// Where the agent finds it, with the token of its account (TOML, keys of the table `table`).
    pub fn settings(&self, table: &str) -> String {
        let site = self.api.site();
        let (url, token, ca) =
            (site.address(0), site.path("token"), site.path("certs/apiserver.crt"));
        format!(
            "[{table}]\napi = 'https://{url}'\nnode = '{NODE}'\n[{table}.auth]\ntoken_file = {token:?}\n\
             [{table}.tls]\nca_file = {ca:?}\n"
        )
    }

    /// Creates an object; returns its uid.
    pub fn create(&self, object: &Value) -> Result<String> {
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
    command.args(["--service-cluster-ip-range", "10.0.0.0/24", "--allow-privileged"]);
    command.args(["--disable-admission-plugins", "ServiceAccount"]);
    command.args(["--service-account-issuer", "https://nodeprobe.test"]);
    command.arg("--cert-dir").arg(site.path("certs")).arg("--token-auth-file").arg(tokens);
    command.arg("--service-account-signing-key-file").arg(private);
    command.arg("--service-account-key-file").arg(public);
    Ok(command)
}

fn kubectl(site: &Site, args: &[&str], input: &str) -> Result<String> {
    ask(programs::program("kubectl")?, site, args, input)
}

fn ask(mut kubectl: Command, site: &Site, args: &[&str], input: &str) -> Result<String> {
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
