//! Metrics, alerts and dashboards with a real Prometheus, which scrapes a real agent while a real process
//! leaks netlink sockets, and a real Alertmanager.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    process::geteuid,
};
use serde_json::Value;

use super::support::{
    agent::Agent,
    http::{get, get_with},
    programs::{at_home, of_debian},
    server::{Server, Site},
    until,
};

mod queries;

use queries::{Query, ask};

/// What the agent asks of whoever reads its metrics.
const TOKEN: &str = "a-token";
/// More than [`SETTINGS`] says is critical.
const SOCKETS: usize = 40;

const SETTINGS: &str = "\
[netlink]
warn_open = 8
critical_open = 16
[metrics]
bpf_stats = true
token_file = 'DIR/token'
[sinks.copy.spool]
enabled = true
[sinks.copy.file]
path = 'DIR/copy.jsonl'
";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Files of a folder, in the order of their names.
fn files(folder: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(deploy().join(folder))?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<_>>>()?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

fn promtool(args: &[&str], files: &[PathBuf], stdin: &str) -> Result<()> {
    let mut command = of_debian("usr/bin/promtool")?;
    command.args(args).args(files).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("no stdin")?.write_all(stdin.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(output.status.success(), "promtool {args:?}: {}\n{said}", output.status);
    Ok(())
}

#[test]
fn alerts_fire_when_they_must_and_not_otherwise() -> Result<()> {
    promtool(&["check", "rules"], &files("alerts")?, "")?;
    promtool(&["test", "rules"], &files("alerts/tests")?, "")
}

/// An agent at work on this host.
fn agent() -> Result<Server> {
    let agent = Agent::new(SETTINGS)?;
    fs::write(agent.path("token"), TOKEN)?;
    let dir = agent.path("");
    let dir = dir.to_str().context("UTF-8")?.trim_end_matches('/');
    agent.configure(&SETTINGS.replace("DIR", dir))?;
    let run = move |site: &Site| {
        let mut command = agent.command(["run", "-o", "json"]);
        command.args(["--listen", &site.address(0)]);
        Ok(command)
    };
    Server::start("nodeprobe", 1, run, |site| {
        let address: SocketAddr = site.address(0).parse()?;
        get(address.port(), "/readyz")?.text().map(drop)
    })
}

fn alertmanager() -> Result<Server> {
    let run = |site: &Site| {
        fs::write(site.path("a.yaml"), "route: {receiver: none}\nreceivers: [{name: none}]\n")?;
        let mut command = at_home("usr/bin/prometheus-alertmanager")?;
        command.arg("--config.file").arg(site.path("a.yaml"));
        command.arg("--storage.path").arg(site.path("data"));
        command.args(["--cluster.listen-address=", "--web.listen-address", &site.address(0)]);
        Ok(command)
    };
    Server::start("alertmanager", 1, run, |site| ready(&site.address(0)))
}

fn ready(address: &str) -> Result<()> {
    get(address.parse::<SocketAddr>()?.port(), "/-/ready")?.text().map(drop)
}

/// A Prometheus that has the alerts of this repository and scrapes the agent each second.
fn prometheus(agent: u16, alertmanager: u16) -> Result<Server> {
    let rules = files("alerts")?;
    let rules: Vec<_> = rules.iter().map(|file| format!("{:?}", file.as_os_str())).collect();
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
         rule_files: [{}]\n\
         scrape_configs: [{{job_name: nodeprobe, authorization: {{credentials: {TOKEN}}}, \
         static_configs: [{{targets: ['127.0.0.1:{agent}']}}]}}]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n",
        rules.join(", ")
    );
    let run = move |site: &Site| {
        fs::write(site.path("p.yaml"), &config)?;
        let mut command: Command = of_debian("usr/bin/prometheus")?;
        command.arg("--config.file").arg(site.path("p.yaml"));
        command.arg("--storage.tsdb.path").arg(site.path("data"));
        command.args(["--web.listen-address", &site.address(0)]);
        Ok(command)
    };
    Server::start("prometheus", 1, run, |site| ready(&site.address(0)))
}

/// Opens netlink sockets and keeps them.
fn leak() -> Result<Vec<OwnedFd>> {
    let open = |_| {
        let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
        Ok(socket_with(AddressFamily::NETLINK, kind, flags, None)?)
    };
    (0..SOCKETS).map(open).collect()
}

#[test]
fn every_query_returns_data_and_the_alert_arrives() -> Result<()> {
    // The hooks take CAP_BPF; `cargo xtask test` plays scenarios as root, on this host or in a guest.
    if !geteuid().is_root() {
        println!("not run: it takes root");
        return Ok(());
    }
    let (agent, alertmanager) = (agent()?, alertmanager()?);
    let token = format!("Authorization: Bearer {TOKEN}\r\n");
    ensure!(get(agent.port(), "/metrics")?.status == 401, "a stranger reads metrics");
    let prometheus = prometheus(agent.port(), alertmanager.port())?;
    let _leaked = leak()?;

    until("the alert arrives", || {
        let alerts = get(alertmanager.port(), "/api/v2/alerts")?.json()?;
        let alerts = alerts.as_array().context("no list of alerts")?;
        let ours = alerts.iter().find(|alert| {
            let labels = &alert["labels"];
            labels["alertname"] == "NodeprobeFindingCritical" && labels["rule"] == "netlink-leak"
        });
        let alert = ours.with_context(|| format!("not among {alerts:?}"))?;
        let book = alert["annotations"]["runbook_url"].as_str().unwrap_or_default();
        ensure!(book.ends_with("docs/rules.md#netlink-leak"), "{book}");
        ensure!(alert["labels"]["severity"] == "critical", "{alert}");
        Ok(())
    })?;

    let port = prometheus.port();
    let alerts = until("all alerts were evaluated", || queries::of_alerts(port))?;
    for query in alerts.iter().chain(&queries::of_dashboards()?) {
        judge(port, query).with_context(|| format!("{}: {}", query.name, query.text))?;
    }
    let text = get_with(agent.port(), "/metrics", &token)?.text()?;
    promtool(&["check", "metrics"], &[], &text)
}

/// A query returns data, unless there is a reason why it does not while all is well; then what it watches
/// does, and it itself is one that Prometheus understands.
fn judge(port: u16, query: &Query) -> Result<()> {
    match queries::QUIET.iter().find(|(name, ..)| *name == query.name) {
        None => until("it returns data", || has_data(port, &query.text)),
        Some((_, _, watches)) => {
            has_data(port, &format!("({}) or vector(0)", query.text))?;
            until("what it watches is there", || has_data(port, watches))
        }
    }
}

fn has_data(port: u16, query: &str) -> Result<()> {
    let answer: Value = ask(port, query)?;
    let result = answer["data"]["result"].as_array().context("no result")?;
    ensure!(!result.is_empty(), "no data for {query}");
    Ok(())
}
