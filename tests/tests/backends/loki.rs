//! The Loki sink and a real server of its push API, VictoriaLogs.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::support::{
    agent::{Agent, NODE},
    capture::capture,
    http,
    ids::exactly,
    programs,
    server::{Server, Site},
    until,
};

pub fn server() -> Result<Server> {
    let make = |site: &Site| {
        let mut command = programs::program("victoria-logs")?;
        command.arg(format!("-storageDataPath={}", site.path("data").display()));
        command.arg(format!("-httpListenAddr={}", site.address(0)));
        Ok(command)
    };
    Server::start("victoria-logs", 1, make, |site| {
        http::get(site.ports[0], "/health")?.text().map(drop)
    })
}

fn agent(server: &Server, more: &str) -> Result<Agent> {
    let pauses = "[sinks.test.batch]\nlongest_pause = '1s'";
    // It has the API below a path of its own.
    let url = format!("http://{}/insert", server.site().address(0));
    Agent::new(&format!("{pauses}\n[sinks.test.loki]\nurl = '{url}'\n{more}"))
}

/// Waits until so many lines are found by a query.
fn lines(server: &Server, query: &str, expected: usize) -> Result<Vec<Value>> {
    until(&format!("{expected} lines"), || {
        let path = format!("/select/logsql/query?limit=100000&query={query}");
        let text = http::get(server.port(), &path)?.text()?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(lines.len() >= expected, "there are {}", lines.len());
        Ok(lines)
    })
}

fn ids(lines: &[Value]) -> Result<Vec<String>> {
    let id = |line: &Value| line["record_id"].as_str().map(str::to_owned);
    let ids = lines.iter().map(|line| id(line).with_context(|| format!("no record_id: {line}")));
    let mut ids: Vec<String> = ids.collect::<Result<_>>()?;
    // It answers in any order.
    ids.sort();
    Ok(ids)
}

#[test]
fn what_is_found_is_found_by_its_labels() -> Result<()> {
    let server = server()?;
    let run = agent(&server, "labels.cluster = 'a\"b'")?.replay(&capture(20)?)?;
    let lines = lines(&server, "*", run.ids.len())?;
    exactly(&run.ids, &ids(&lines)?)?;
    for line in &lines {
        let stream = line["_stream"].as_str().context("no stream")?;
        let labels = [
            ("cluster", r#"a\"b"#),
            ("kind", "finding"),
            ("node", NODE),
            ("rule", "fork-failures"),
            ("service_name", "nodeprobe"),
            ("severity", "critical"),
            ("signal", "fork"),
        ];
        for (name, value) in labels {
            assert!(stream.contains(&format!("{name}=\"{value}\"")), "{name} of {stream}");
        }
        assert_eq!(line["process_pid"], "7");
    }
    Ok(())
}
