//! The Alertmanager sink and a real Alertmanager, which tells a webhook of the test what it makes of it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::channel,
    thread,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::support::{
    HANG_GUARD,
    agent::{Agent, NODE},
    capture::capture,
    http, programs,
    server::{Server, Site},
};

/// Serves HTTP on a port of its own: what `answer` makes of each body is sent back as JSON.
fn serve(mut answer: impl FnMut(String) -> String + Send + 'static) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let (mut length, mut line) = (0, String::new());
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_err() {
                continue;
            }
            let answer = answer(String::from_utf8_lossy(&body).into_owned());
            // Whoever asked may be gone.
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    Ok(port)
}

fn http_of(status: u16) -> String {
    format!("HTTP/1.1 {status} As told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn server(webhook: u16) -> Result<Server> {
    let make = move |site: &Site| {
        let config = format!(
            "route: {{receiver: test, group_by: [finding], group_wait: 0s, group_interval: 1s}}\n\
             receivers:\n- name: test\n  webhook_configs:\n  - {{url: 'http://127.0.0.1:{webhook}/', send_resolved: true}}\n"
        );
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

fn findings(file: &std::path::Path) -> Result<BTreeMap<String, Value>> {
    let text = fs::read_to_string(file)?;
    let resolved = text.lines().filter_map(|line| {
        let finding: Value = serde_json::from_str(line).ok()?;
        (finding["state"] == "resolved")
            .then(|| (finding["id"].as_str().unwrap_or("").into(), finding))
    });
    Ok(resolved.collect())
}

const FINDINGS: usize = 5;

#[test]
fn an_alert_fires_and_ends_when_its_finding_did() -> Result<()> {
    let (to, told) = channel();
    let webhook = serve(move |body| {
        let alerts = serde_json::from_str::<Value>(&body).unwrap_or_default();
        for alert in alerts["alerts"].as_array().into_iter().flatten() {
            // The test may be over.
            let _ = to.send(alert.clone());
        }
        http_of(200)
    })?;
    let server = server(webhook)?;
    let port = server.port();
    // Alertmanager says nothing of an alert that ended before it could say that it fires: ends wait.
    let ((allow, ends), mut posts) = (channel::<()>(), 0);
    let door = serve(move |body| {
        posts += 1;
        if posts == FINDINGS + 1 {
            let _ = ends.recv_timeout(HANG_GUARD);
        }
        let answer = http::post(port, "/api/v2/alerts", &body);
        http_of(answer.map_or(502, |answer| answer.status))
    })?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("findings.jsonl");
    let sinks = format!(
        "[sinks.test.alertmanager]\nurl = 'http://127.0.0.1:{door}'\n\
         [sinks.test.batch]\nrecords = 1\n[sinks.file.file]\npath = {file:?}\n"
    );
    let agent = Agent::new(&sinks)?;
    let running = agent.start(&capture(FINDINGS as u64)?)?;
    let mut firing = BTreeMap::new();
    while firing.len() < FINDINGS {
        let alert = told.recv_timeout(HANG_GUARD).context("not all alerts fired")?;
        assert_eq!(alert["status"], "firing");
        firing.insert(finding_of(&alert)?, alert);
    }
    // As its own tool asks.
    let open = http::get(port, "/api/v2/alerts")?.json()?;
    let open = open.as_array().context("no list")?;
    assert_eq!(open.len(), FINDINGS);
    for alert in open {
        let far = format!("{}", alert["endsAt"]);
        ensure!(!same(&alert["endsAt"], &alert["startsAt"]), "it would end at once: {far}");
    }
    allow.send(())?;
    let mut resolved = BTreeMap::new();
    while resolved.len() < FINDINGS {
        let alert = told.recv_timeout(HANG_GUARD).context("not all alerts ended")?;
        if alert["status"] == "resolved" {
            resolved.insert(finding_of(&alert)?, alert);
        }
    }
    assert_eq!(running.finish()?.ids.len(), 2 * FINDINGS);
    let findings = findings(&file)?;
    assert!(findings.keys().eq(resolved.keys()), "{findings:?} {resolved:?}");
    for (id, alert) in &resolved {
        let finding = &findings[id];
        assert_eq!(alert["labels"]["node"], NODE);
        assert_eq!(alert["labels"]["alertname"], finding["rule"]);
        assert_eq!(alert["labels"]["severity"], finding["severity"]);
        assert_eq!(alert["annotations"]["summary"], finding["summary"]);
        assert!(same(&alert["startsAt"], &finding["first_seen"]), "{alert} {finding}");
        assert!(same(&alert["endsAt"], &finding["last_seen"]), "{alert} {finding}");
    }
    let open = http::get(port, "/api/v2/alerts")?.json()?;
    ensure!(open.as_array().is_some_and(Vec::is_empty), "alerts are left: {open}");
    Ok(())
}

fn finding_of(alert: &Value) -> Result<String> {
    Ok(alert["labels"]["finding"].as_str().context("no finding")?.to_owned())
}

/// Whether two times are within a millisecond: the shortest that an alert can last.
fn same(a: &Value, b: &Value) -> bool {
    let micros = |value: &Value| -> Option<i128> {
        let text = value.as_str()?;
        let (whole, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text, "0"));
        let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let clock = whole.trim_end_matches('Z').rsplit_once('T')?.1;
        let mut seconds = 0;
        for part in clock.split(':') {
            seconds = seconds * 60 + part.parse::<i128>().ok()?;
        }
        Some(seconds * 1_000_000 + digits.parse::<i128>().ok()?)
    };
    match (micros(a), micros(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1_000,
        _ => false,
    }
}
