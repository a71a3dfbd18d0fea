//! The Elasticsearch sink and a real server of its API, OpenSearch's in memory.

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

const STREAM: &str = "logs-nodeprobe-default";

pub fn server() -> Result<Server> {
    let make = |site: &Site| {
        let mut command = programs::program("osmem-server")?;
        command.args(["-addr", &site.address(0), "-no-stdin-watch"]).current_dir(site.dir.path());
        Ok(command)
    };
    Server::start("osmem-server", 1, make, |site| http::get(site.ports[0], "/")?.text().map(drop))
}

fn agent(server: &Server, more: &str) -> Result<Agent> {
    let pauses = "[sinks.test.batch]\nlongest_pause = '1s'";
    let url = format!("http://{}", server.site().address(0));
    Agent::new(&format!("{pauses}\n[sinks.test.elasticsearch]\nurl = '{url}'\n{more}"))
}

/// Waits until so many documents can be searched for.
fn documents(server: &Server, expected: usize) -> Result<Vec<Value>> {
    until(&format!("{expected} documents"), || {
        http::post(server.port(), &format!("/{STREAM}/_refresh"), "")?;
        let query = r#"{"size": 10000, "query": {"match_all": {}}}"#;
        let found = http::post(server.port(), &format!("/{STREAM}/_search"), query)?.json()?;
        let hits = found["hits"]["hits"].as_array().context("no hits")?;
        ensure!(hits.len() >= expected, "there are {}", hits.len());
        Ok(hits.clone())
    })
}

fn ids(documents: &[Value]) -> Vec<String> {
    documents.iter().filter_map(|document| Some(document["_id"].as_str()?.to_owned())).collect()
}

#[test]
fn what_is_found_is_found_by_a_search() -> Result<()> {
    for more in ["", "gzip = true"] {
        let server = server()?;
        let run = agent(&server, more)?.replay(&capture(20)?)?;
        let documents = documents(&server, run.ids.len())?;
        exactly(&run.ids, &ids(&documents))?;
        for document in documents {
            let source = &document["_source"];
            assert_eq!(source["event"]["id"], document["_id"]);
            assert_eq!(source["host"]["name"], NODE);
            assert_eq!(source["rule"]["name"], "fork-failures");
            assert_eq!(source["process"]["pid"], 7);
        }
    }
    Ok(())
}

#[test]
fn what_is_sent_again_is_there_once() -> Result<()> {
    let server = server()?;
    let (agent, capture) = (agent(&server, "")?, capture(20)?);
    let run = agent.replay(&capture)?;
    // Another run of the same capture has the same ids.
    assert_eq!(agent.replay(&capture)?.ids, run.ids);
    exactly(&run.ids, &ids(&documents(&server, run.ids.len())?))
}
