//! The OTLP sink and a real collector, Rotel, which writes what it takes to its log.

use anyhow::{Context, Result, ensure};

use crate::support::{
    agent::{Agent, NODE, PATIENT},
    capture::capture,
    ids::{exactly, nothing_lost_nor_reordered},
    programs,
    server::{Server, Site, takes_connections},
    until,
};

const PROTOCOLS: [&str; 2] = ["grpc", "http"];

pub fn server() -> Result<Server> {
    let make = |site: &Site| {
        let mut command = programs::program("rotel-agent")?;
        command.arg("start").current_dir(site.dir.path());
        command.args(["--otlp-grpc-endpoint", &site.address(0)]);
        command.args(["--otlp-http-endpoint", &site.address(1)]);
        command.args(["--exporter", "blackhole"]);
        command.args(["--debug-log", "logs", "--debug-log-verbosity", "detailed"]);
        Ok(command)
    };
    Server::start("rotel", 2, make, takes_connections)
}

fn agent(server: &Server, protocol: &str, more: &str) -> Result<Agent> {
    let address = server.site().address(usize::from(protocol == "http"));
    let url = format!("url = 'http://{address}'\nprotocol = '{protocol}'");
    Agent::new(&format!("{PATIENT}\n[sinks.test.otlp]\n{url}\n{more}"))
}

/// Ids of the log records that came, in their order.
pub fn ids(log: &str) -> Vec<String> {
    let ids = log.lines().filter_map(|line| {
        line.trim_start().strip_prefix("-> log.record.uid: Str(")?.strip_suffix(')')
    });
    ids.map(str::to_owned).collect()
}

/// Waits until it has written down so many log records, which it does after it took them.
fn written(server: &Server, records: usize) -> Result<Vec<String>> {
    until(&format!("{records} log records"), || {
        let ids = ids(&server.log());
        ensure!(ids.len() >= records, "{} came", ids.len());
        Ok(ids)
    })
}

#[test]
fn what_is_found_is_with_the_collector() -> Result<()> {
    for (protocol, more) in
        PROTOCOLS.into_iter().flat_map(|protocol| [(protocol, ""), (protocol, "gzip = false")])
    {
        let server = server()?;
        let run = agent(&server, protocol, more)?.replay(&capture(20)?)?;
        exactly(&run.ids, &written(&server, run.ids.len())?)?;
        let log = server.log();
        let lines = [
            "-> service.name: Str(nodeprobe)".to_owned(),
            format!("-> k8s.node.name: Str({NODE})"),
            "InstrumentationScope nodeprobe".into(),
            "EventName: nodeprobe.fork_failures".into(),
            "SeverityNumber: SEVERITY_NUMBER_ERROR2(18)".into(),
            "SeverityText: critical".into(),
            "-> process.pid: Int(7)".into(),
            "-> process.command: Str(kubelet)".into(),
            // A name that breaks what does not escape comes through as it is.
            "-> process.command: Str(a\"b\\c<>'".into(),
            "-> nodeprobe.state: Str(firing)".into(),
            "-> nodeprobe.state: Str(resolved)".into(),
        ];
        for line in lines {
            assert!(log.contains(&line), "{protocol}: {line}");
        }
    }
    Ok(())
}

#[test]
fn nothing_is_lost_when_the_collector_is_away() -> Result<()> {
    for protocol in PROTOCOLS {
        let mut server = server()?;
        let agent = agent(&server, protocol, "")?;
        let capture = capture(3_000)?;
        let mut running = agent.start(&capture)?;
        running.finds(2_500)?;
        // What it took it still writes down, then it ends.
        server.down()?;
        running.says("wait and are sent")?;
        server.up()?;
        let run = running.finish().context(protocol)?;
        assert_eq!(run.ids.len(), 6_000);
        let came = written(&server, run.ids.len()).context(protocol)?;
        nothing_lost_nor_reordered(&run.ids, &came)?;
    }
    Ok(())
}

#[test]
fn a_collector_that_was_never_there_is_waited_for() -> Result<()> {
    for protocol in PROTOCOLS {
        let mut server = server()?;
        server.down()?;
        let agent = agent(&server, protocol, "")?;
        let capture = capture(2_000)?;
        let running = agent.start(&capture)?;
        running.says("wait and are sent")?;
        server.up()?;
        let run = running.finish().context(protocol)?;
        exactly(&run.ids, &written(&server, run.ids.len())?).context(protocol)?;
    }
    Ok(())
}

#[test]
fn the_wrong_protocol_is_told() -> Result<()> {
    let server = server()?;
    let address = server.site().address(1);
    let sink = format!("[sinks.test.otlp]\nurl = 'http://{address}'\nprotocol = 'grpc'");
    let agent = Agent::new(&sink)?;
    let capture = capture(2)?;
    let mut running = agent.start(&capture)?;
    running.finds(4)?;
    let run = running.end()?;
    assert!(run.log.contains("test: "), "{}", run.log);
    assert!(ids(&server.log()).is_empty());
    Ok(())
}
