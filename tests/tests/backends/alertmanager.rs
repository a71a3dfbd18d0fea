//! The Alertmanager sink and a real Alertmanager.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::support::{
    agent::{Agent, NODE},
    capture::capture,
    http, programs,
    server::{Server, Site},
};

fn server() -> Result<Server> {
    let make = |site: &Site| {
        let config = "route: {receiver: test}\nreceivers:\n- name: test\n";
        fs::write(site.path("alertmanager.yml"), config)?;
        let mut command = programs::at_home("usr/bin/prometheus-alertmanager")?;
        command.arg("--config.file").arg(site.path("alertmanager.yml"));
        command.arg("--storage.path").arg(site.path("data"));
        command.arg(format!("--web.listen-address={}", site.address(0)));
        command.arg("--cluster.listen-address=");
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
