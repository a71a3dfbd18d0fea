//! The other sides of sinks, as tests that hold for all of them see them: something that can be away, and
//! knows what came.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    elasticsearch, kafka, loki, nats, otlp,
    support::{http, ids::id_of, receiver::Receiver, server::Server},
};

/// The other side of a sink.
pub trait Side {
    /// Kind of the sink and its settings (TOML), for whoever finds it at this address.
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String);

    /// Where it is.
    fn address(&self) -> String;

    /// Ids of the records that came, in the order in which they came.
    fn ids(&self) -> Result<Vec<String>>;

    fn up(&mut self) -> Result<()>;

    fn down(&mut self) -> Result<()>;

    /// What of its protocol is HTTP/1.1, so that answers of that mean something to the sink.
    fn is_http(&self) -> bool;
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Plain,
    Tls,
}

impl Scheme {
    fn http(self) -> &'static str {
        if self == Self::Tls { "https" } else { "http" }
    }
}

/// A real server, with what differs.
struct Real {
    server: Server,
    /// Number of the port.
    port: usize,
    kind: &'static str,
    settings: fn(Scheme, &str) -> String,
    ids: fn(&Server) -> Result<Vec<String>>,
    is_http: bool,
}

impl Side for Real {
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String) {
        (self.kind, (self.settings)(scheme, address))
    }

    fn address(&self) -> String {
        self.server.site().address(self.port)
    }

    fn ids(&self) -> Result<Vec<String>> {
        (self.ids)(&self.server)
    }

    fn up(&mut self) -> Result<()> {
        self.server.up()
    }

    fn down(&mut self) -> Result<()> {
        self.server.down()
    }

    fn is_http(&self) -> bool {
        self.is_http
    }
}

type AnySide = Result<Box<dyn Side>>;

fn url(scheme: Scheme, address: &str) -> String {
    format!("url = '{}://{address}'", scheme.http())
}

/// A collector, by gRPC.
pub fn otlp_grpc() -> AnySide {
    let settings = |scheme, address: &str| format!("{}\nprotocol = 'grpc'", url(scheme, address));
    let ids = |server: &Server| Ok(otlp::ids(&server.log()));
    let server = otlp::server()?;
    Ok(Box::new(Real { server, port: 0, kind: "otlp", settings, ids, is_http: false }))
}

/// A collector, by HTTP.
pub fn otlp_http() -> AnySide {
    let ids = |server: &Server| Ok(otlp::ids(&server.log()));
    let server = otlp::server()?;
    Ok(Box::new(Real { server, port: 1, kind: "otlp", settings: url, ids, is_http: true }))
}

/// A JetStream, with a stream.
pub fn nats_jetstream() -> AnySide {
    let settings = |scheme, address: &str| {
        let scheme = if scheme == Scheme::Tls { "tls" } else { "nats" };
        format!("url = '{scheme}://{address}'")
    };
    let ids = |server: &Server| nats::Client::connect(server, "")?.ids();
    let server = nats::server(&[])?;
    nats::Client::connect(&server, "")?.make_stream()?;
    Ok(Box::new(Real { server, port: 0, kind: "nats", settings, ids, is_http: false }))
}

/// A broker of Kafka, with a topic.
pub fn kafka_broker() -> AnySide {
    let settings = |scheme, address: &str| {
        let tls = if scheme == Scheme::Tls { "\ntls = {}" } else { "" };
        format!("brokers = ['{address}']\ntopic = '{}'{tls}", kafka::TOPIC)
    };
    let ids = |server: &Server| kafka::ids(&kafka::messages(server)?);
    let server = kafka::server()?;
    kafka::make_topic(&server)?;
    Ok(Box::new(Real { server, port: 0, kind: "kafka", settings, ids, is_http: false }))
}

/// OpenSearch's API.
pub fn elasticsearch() -> AnySide {
    let server = elasticsearch::server()?;
    let (kind, ids) = ("elasticsearch", documents as fn(&Server) -> _);
    Ok(Box::new(Kept { real: Real { server, port: 0, kind, settings: url, ids, is_http: true } }))
}

/// All documents by their ids. They have no order of their own: it is that of the ids, so that a
/// finding's revisions are in theirs.
fn documents(server: &Server) -> Result<Vec<String>> {
    const PAGE: usize = 10_000;
    let mut ids = Vec::new();
    loop {
        let mut query = json!({ "size": PAGE, "sort": ["_id"], "_source": false });
        if let Some(last) = ids.last() {
            query["search_after"] = json!([last]);
        }
        let answer = http::post(server.port(), "/logs-*/_search", &query.to_string())?;
        let answer = answer.json()?;
        let hits = answer["hits"]["hits"].as_array().context("no hits")?;
        let id = |hit: &Value| Ok(hit["_id"].as_str().context("no _id")?.to_owned());
        ids.extend(hits.iter().map(id).collect::<Result<Vec<String>>>()?);
        if hits.len() < PAGE {
            return Ok(ids);
        }
    }
}

/// A server that keeps all in its memory: away means that nothing comes through to it.
struct Kept {
    real: Real,
}

impl Side for Kept {
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String) {
        self.real.sink(scheme, address)
    }

    fn address(&self) -> String {
        self.real.address()
    }

    fn ids(&self) -> Result<Vec<String>> {
        self.real.ids()
    }

    fn up(&mut self) -> Result<()> {
        self.real.server.signal(rustix::process::Signal::CONT)
    }

    fn down(&mut self) -> Result<()> {
        self.real.server.signal(rustix::process::Signal::STOP)
    }

    fn is_http(&self) -> bool {
        true
    }
}

/// Loki's API.
pub fn loki() -> AnySide {
    // It has the API below a path of its own.
    let settings =
        |scheme: Scheme, address: &str| format!("url = '{}://{address}/insert'", scheme.http());
    let server = loki::server()?;
    let ids = |server: &Server| {
        let answer = http::get(
            server.port(),
            "/select/logsql/query?limit=100000&query=*|fields%20record_id",
        )?;
        let id = |line: &str| {
            let line: Value = serde_json::from_str(line)?;
            Ok(line["record_id"].as_str().context("no record_id")?.to_owned())
        };
        let mut ids: Vec<String> = answer.text()?.lines().map(id).collect::<Result<_>>()?;
        // It answers in any order.
        ids.sort();
        Ok(ids)
    };
    Ok(Box::new(Real { server, port: 0, kind: "loki", settings, ids, is_http: true }))
}

/// Whoever takes webhooks: a stub.
pub fn webhook() -> AnySide {
    Ok(Box::new(Receiver::start()?))
}

impl Side for Receiver {
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String) {
        ("webhook", url(scheme, address))
    }

    fn address(&self) -> String {
        Receiver::address(self)
    }

    fn ids(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for body in self.bodies() {
            let body: Value = serde_json::from_slice(&body)?;
            let records = body["records"].as_array().context("no records")?;
            for record in records {
                ids.push(id_of(&record["record"])?);
            }
        }
        Ok(ids)
    }

    fn up(&mut self) -> Result<()> {
        Receiver::up(self)
    }

    fn down(&mut self) -> Result<()> {
        Receiver::down(self)
    }

    fn is_http(&self) -> bool {
        true
    }
}
