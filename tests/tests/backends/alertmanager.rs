//! The Alertmanager sink and a real Alertmanager.

use std::{collections::HashMap, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    sides::{Answers, Scheme, Side, url},
    support::{
        agent::{Agent, NODE},
        capture::{capture, in_two_parts},
        http, programs,
        receiver::Receiver,
        server::{Server, Site},
        until,
    },
};

fn server() -> Result<Server> {
    configured("route: {receiver: test}\nreceivers:\n- name: test\n".into())
}

/// One that tells of each alert at once, to whoever is at this address.
fn telling(address: &str) -> Result<Server> {
    configured(format!(
        "route: {{receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 100ms}}\n\
         receivers:\n- name: test\n  \
         webhook_configs: [{{url: 'http://{address}', send_resolved: true}}]\n"
    ))
}

fn configured(config: String) -> Result<Server> {
    let make = move |site: &Site| {
        fs::write(site.path("alertmanager.yml"), &config)?;
        let mut command = programs::at_home("usr/bin/prometheus-alertmanager")?;
        command.arg("--config.file").arg(site.path("alertmanager.yml"));
        command.arg("--storage.path").arg(site.path("data"));
        command.arg(format!("--web.listen-address={}", site.address(0)));
        command.args(["--cluster.listen-address=", "--log.level=debug"]);
        Ok(command)
    };
    Server::start("alertmanager", 1, make, |site| {
        http::get(site.ports[0], "/-/ready")?.text().map(drop)
    })
}

fn agent(server: &Server) -> Result<Agent> {
    let url = format!("url = 'http://{}'", server.site().address(0));
    // One record a batch, so that what fires is told of before its end.
    Agent::new(&format!("[sinks.test.batch]\nrecords = 1\n[sinks.test.alertmanager]\n{url}"))
}

#[test]
fn an_alert_that_fires_is_open_until_it_is_long_not_heard_of() -> Result<()> {
    let server = server()?;
    let agent = agent(&server)?;
    let status = agent.command(["send-test", "--sink", "test"]).status()?;
    ensure!(status.success(), "send-test ended with {status}");
    let open = http::get(server.port(), "/api/v2/alerts")?.json()?;
    let alert = open.get(0).context("no alert")?;
    assert_eq!(alert["labels"]["node"], NODE);
    assert_eq!(alert["status"]["state"], "active");
    assert_ne!(alert["startsAt"], alert["endsAt"]);
    Ok(())
}

#[test]
fn each_finding_fires_and_none_is_left_open() -> Result<()> {
    let server = server()?;
    let agent = agent(&server)?;
    let run = agent.replay(&capture(5)?)?;
    assert_eq!(run.ids.len(), 10);
    agent.drain()?;
    let counted = http::get(server.port(), "/metrics")?.text()?;
    for (status, number) in [("firing", 5), ("resolved", 5)] {
        let counted_so = format!(
            "alertmanager_alerts_received_total{{status=\"{status}\",version=\"v2\"}} {number}"
        );
        ensure!(counted.contains(&counted_so), "no {counted_so} in {counted}");
    }
    ensure!(counted.contains("alertmanager_alerts_invalid_total{version=\"v2\"} 0"), "{counted}");
    let open = http::get(server.port(), "/api/v2/alerts")?.json()?;
    ensure!(open.as_array().is_some_and(Vec::is_empty), "alerts are left: {open}");
    Ok(())
}

/// Alertmanager as one of many sides. It keeps the state of each alert and no records, in its memory: what
/// is asked is whether each finding is in its last state. It lists what is active; what is over is only to
/// be seen in its log.
pub struct States(Server);

impl States {
    pub fn start() -> Result<Self> {
        Ok(Self(server()?))
    }

    /// Whether each alert is over that was told of since the last start, by the beginning of its fingerprint.
    fn over(log: &str) -> HashMap<&str, bool> {
        let since = log.rfind("Starting Alertmanager").unwrap_or_default();
        let mut over = HashMap::new();
        for line in log[since..].lines().filter(|line| line.contains("Received alert")) {
            let alert = line.split_once("alert=fork-failures[");
            let alert = alert.and_then(|(_, alert)| alert.trim_end_matches(']').split_once("]["));
            over.extend(alert.map(|(print, state)| (print, state == "resolved")));
        }
        over
    }
}

impl Side for States {
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String) {
        ("alertmanager", url(scheme, address))
    }

    fn address(&self) -> String {
        self.0.site().address(0)
    }

    fn came(&self, expected: &[String]) -> Result<()> {
        let log = self.0.log();
        let over = Self::over(&log);
        let active = http::get(self.0.port(), "/api/v2/alerts")?.json()?;
        let active = active.as_array().context("no list of alerts")?.iter();
        let active: Vec<_> = active.map(|alert| &alert["labels"]["finding"]).collect();
        let parts = expected.iter().filter_map(|id| id.rsplit_once('-'));
        // What fires is the first revision of a finding, and its end the second.
        let last: HashMap<_, _> =
            parts.map(|(finding, revision)| (finding, revision > "1")).collect();
        for (finding, ended) in last {
            let state = over.get(&fingerprint(finding)[..7]);
            let state = state.with_context(|| format!("{finding} never came"))?;
            ensure!(*state >= ended, "{finding} is not over");
            ensure!(
                !ended || !active.iter().any(|active| *active == finding),
                "{finding} is active"
            );
        }
        Ok(())
    }

    fn up(&mut self) -> Result<()> {
        self.0.up()
    }

    fn down(&mut self) -> Result<()> {
        self.0.down()
    }

    fn answers(&self) -> Answers {
        Answers::Http
    }
}

/// By which Alertmanager knows the alert of a finding: FNV-1a of its labels
/// (github.com/prometheus/common/model/signature.go).
fn fingerprint(finding: &str) -> String {
    let labels = [
        ["alertname", "fork-failures"],
        ["finding", finding],
        ["node", NODE],
        ["severity", "critical"],
        ["signal", "fork"],
    ];
    let bytes = labels.iter().flatten().flat_map(|text| text.bytes().chain([0xff]));
    let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, hash))
}

/// Alerts that Alertmanager told of as being in this state.
fn told(receiver: &Receiver, status: &str) -> Result<Vec<Value>> {
    let mut told = Vec::new();
    for body in receiver.bodies() {
        let body: Value = serde_json::from_slice(&body)?;
        let alerts = body["alerts"].as_array().context("no alerts")?;
        told.extend(alerts.iter().filter(|alert| alert["status"] == status).cloned());
    }
    Ok(told)
}

/// Alertmanager lists no alert that is over, but tells of it whom it told that it fires.
#[test]
fn an_alert_ends_when_its_finding_held_last() -> Result<()> {
    const FINDINGS: usize = 5;
    let receiver = Receiver::start()?;
    let server = telling(&receiver.address())?;
    let agent = agent(&server)?;
    let [firing, whole] = in_two_parts(FINDINGS as u64)?;
    agent.replay(&firing)?;
    agent.drain()?;
    until("it tells that they fire", || {
        let firing = told(&receiver, "firing")?;
        ensure!(firing.len() >= FINDINGS, "it told of {firing:?}");
        Ok(())
    })?;
    let output = agent.command(["replay", "-o", "json"]).arg(whole.path()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    agent.drain()?;
    let lines = String::from_utf8(output.stdout)?;
    let findings: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let over = findings.iter().filter(|finding| finding["state"] == "resolved");
    let over: Vec<_> = over.collect();
    ensure!(over.len() == FINDINGS, "{over:?}");
    for finding in over {
        let alert = until("it tells that it is over", || {
            let mut told = told(&receiver, "resolved")?.into_iter();
            let ours = told.find(|alert| alert["labels"]["finding"] == finding["id"]);
            ours.with_context(|| format!("nothing of {finding}"))
        })?;
        assert_ne!(finding["first_seen"], finding["last_seen"]);
        assert_eq!(alert["startsAt"], finding["first_seen"]);
        assert_eq!(alert["endsAt"], finding["last_seen"]);
    }
    Ok(())
}
