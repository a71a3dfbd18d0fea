//! The Kafka sink and a real server that speaks Kafka's protocol.

use std::{thread, time::Duration};

use anyhow::{Context, Result, ensure};
use rskafka::{
    client::{
        Client, ClientBuilder,
        partition::{PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use rustix::process::Signal;
use tokio::runtime;

use crate::support::{
    agent::{Agent, NODE, PATIENT},
    capture::capture,
    ids::{exactly, id_of_line, nothing_lost_nor_reordered},
    programs,
    server::{Server, Site, takes_connections},
    until,
};

pub const TOPIC: &str = "findings";
const PARTITIONS: i32 = 3;

pub fn server() -> Result<Server> {
    let make = |site: &Site| {
        let mut command = programs::program("noida-db")?;
        command.args(["start", "--host", "127.0.0.1", "--only", "kafka", "--kafka-port"]);
        command.arg(site.ports[0].to_string()).arg("--data-dir").arg(site.path("data"));
        Ok(command)
    };
    Server::start("noida-db", 1, make, takes_connections)
}

fn agent(server: &Server) -> Result<Agent> {
    let broker = server.site().address(0);
    Agent::new(&format!("{PATIENT}\n[sinks.test.kafka]\nbrokers = ['{broker}']\ntopic = '{TOPIC}'"))
}

/// Does something with a client of its own.
fn with_client<T>(server: &Server, work: impl AsyncFnOnce(Client) -> Result<T>) -> Result<T> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let brokers = vec![server.site().address(0)];
    runtime.block_on(async { work(ClientBuilder::new(brokers).build().await?).await })
}

pub fn make_topic(server: &Server) -> Result<()> {
    with_client(server, async |client| {
        Ok(client.controller_client()?.create_topic(TOPIC, PARTITIONS, 1, 5_000).await?)
    })
}

/// All messages of the one partition that has some, in their order.
pub fn messages(server: &Server) -> Result<Vec<Record>> {
    with_client(server, async |client| {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let handling = UnknownTopicHandling::Error;
            let partition = client.partition_client(TOPIC, partition, handling).await?;
            let here = all_of(&partition).await?;
            ensure!(all.is_empty() || here.is_empty(), "a node's records are in two partitions");
            all.extend(here);
        }
        Ok(all)
    })
}

async fn all_of(partition: &PartitionClient) -> Result<Vec<Record>> {
    let (mut offset, mut all) = (0, Vec::new());
    loop {
        let (more, end) = partition.fetch_records(offset, 0..1_000_000, 100).await?;
        offset = more.last().map_or(offset, |last| last.offset + 1);
        all.extend(more.into_iter().map(|more| more.record));
        if offset >= end {
            return Ok(all);
        }
    }
}

pub fn ids(messages: &[Record]) -> Result<Vec<String>> {
    let value = |message: &Record| message.value.clone().context("a message without a value");
    messages.iter().map(|message| id_of_line(str::from_utf8(&value(message)?)?)).collect()
}

#[test]
fn what_is_found_is_in_one_partition() -> Result<()> {
    let server = server()?;
    make_topic(&server)?;
    let run = agent(&server)?.replay(&capture(20)?)?;
    let messages = messages(&server)?;
    let ids = ids(&messages)?;
    exactly(&run.ids, &ids)?;
    assert_eq!(run.ids, ids, "in their order");
    for (message, id) in messages.iter().zip(&ids) {
        assert_eq!(message.key.as_deref(), Some(NODE.as_bytes()));
        let header = |name| message.headers.get(name).map(Vec::as_slice);
        assert_eq!(header("id"), Some(id.as_bytes()));
        assert_eq!(header("rule"), Some(&b"fork-failures"[..]));
        assert_eq!(header("signal"), Some(&b"fork"[..]));
    }
    Ok(())
}

/// Waits until the broker has handled all it was sent: so long its log does not grow.
fn is_quiet(server: &Server) -> Result<()> {
    const SO_LONG: Duration = Duration::from_millis(500);
    let before = messages(server)?.len();
    thread::sleep(SO_LONG);
    let now = messages(server)?.len();
    ensure!(now == before, "it has {now} messages, and had {before}");
    Ok(())
}

/// This broker writes its log down when it is asked to end, and lacks what it acknowledges after that,
/// whoever sent it: so it has nothing to acknowledge then. What the agent learns is the same, that the
/// broker is gone in the middle.
#[test]
fn nothing_is_lost_when_the_broker_goes_and_comes_back() -> Result<()> {
    let mut server = server()?;
    make_topic(&server)?;
    let agent = agent(&server)?;
    let capture = capture(3_000)?;
    let mut running = agent.start(&capture)?;
    running.finds(2_500)?;
    running.signal(Signal::STOP)?;
    until("the broker is quiet", || is_quiet(&server))?;
    server.down()?;
    running.signal(Signal::CONT)?;
    running.says("wait and are sent")?;
    server.up()?;
    let run = running.finish()?;
    assert_eq!(run.ids.len(), 6_000);
    nothing_lost_nor_reordered(&run.ids, &ids(&messages(&server)?)?)
}

#[test]
fn a_topic_that_is_missing_is_waited_for() -> Result<()> {
    let server = server()?;
    let agent = agent(&server)?;
    let capture = capture(2_000)?;
    let running = agent.start(&capture)?;
    running.says("there is no topic \"findings\"")?;
    make_topic(&server)?;
    let run = running.finish()?;
    nothing_lost_nor_reordered(&run.ids, &ids(&messages(&server)?)?)
}
