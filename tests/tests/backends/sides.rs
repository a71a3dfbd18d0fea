//! The other sides of sinks, as tests that hold for all of them see them: something that can be away, and
//! knows what came.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    alertmanager, journald, kafka, loki, nats, otlp,
    support::{
        http,
        ids::{id_of, nothing_lost_nor_reordered},
        receiver::Receiver,
        server::Server,
    },
    syslog,
};

mod kept;

pub use kept::elasticsearch;

/// The other side of a sink.
pub trait Side {
    /// Kind of the sink and its settings (TOML), for whoever finds it at this address.
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String);

    /// Where it is.
    fn address(&self) -> String;

    /// Fails unless all of these records (their ids) came, a finding's in their order.
    fn came(&self, expected: &[String]) -> Result<()>;

    fn up(&mut self) -> Result<()>;

    fn down(&mut self) -> Result<()>;

    fn answers(&self) -> Answers;
}

/// What of its protocol says whether something was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Nothing: for the sink, whoever reads all and says nothing has taken it.
    Never,
    OfItsOwn,
    /// HTTP/1.1, so that answers of that mean something to the sink.
    Http,
}

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Plain,
    Tls,
}

impl Scheme {
    /// The address with a scheme before it: the one of these two that is meant.
    pub fn url(self, plain: &str, tls: &str, address: &str) -> String {
        format!("{}://{address}", if self == Self::Tls { tls } else { plain })
    }
}

/// A real server, with what differs.
struct Real {
    server: Server,
    address: String,
    kind: &'static str,
    settings: fn(Scheme, &str) -> String,
    /// Ids of the records that came, in the order in which they came.
    ids: fn(&Server) -> Result<Vec<String>>,
    answers: Answers,
}

impl Side for Real {
    fn sink(&self, scheme: Scheme, address: &str) -> (&'static str, String) {
        (self.kind, (self.settings)(scheme, address))
    }

    fn address(&self) -> String {
        self.address.clone()
    }

    fn came(&self, expected: &[String]) -> Result<()> {
        nothing_lost_nor_reordered(expected, &(self.ids)(&self.server)?)
    }

    fn up(&mut self) -> Result<()> {
        self.server.up()
    }

    fn down(&mut self) -> Result<()> {
        self.server.down()
    }

    fn answers(&self) -> Answers {
        self.answers
    }
}

type AnySide = Result<Box<dyn Side>>;

pub fn url(scheme: Scheme, address: &str) -> String {
    format!("url = '{}'", scheme.url("http", "https", address))
}

/// A collector, by gRPC.
pub fn otlp_grpc() -> AnySide {
    let settings = |scheme, address: &str| format!("{}\nprotocol = 'grpc'", url(scheme, address));
    let ids = |server: &Server| Ok(otlp::ids(&server.log()));
    let server = otlp::server()?;
    Ok(Box::new(Real {
        address: server.site().address(0),
        server,
        kind: "otlp",
        settings,
        ids,
        answers: Answers::OfItsOwn,
    }))
}

/// A collector, by HTTP.
pub fn otlp_http() -> AnySide {
    let ids = |server: &Server| Ok(otlp::ids(&server.log()));
    let server = otlp::server()?;
    Ok(Box::new(Real {
        address: server.site().address(1),
        server,
        kind: "otlp",
        settings: url,
        ids,
        answers: Answers::Http,
    }))
}

/// A JetStream, with a stream.
pub fn nats_jetstream() -> AnySide {
    let settings =
        |scheme: Scheme, address: &str| format!("url = '{}'", scheme.url("nats", "tls", address));
    let ids = |server: &Server| nats::Client::connect(server, "")?.ids();
    let server = nats::server(&[])?;
    nats::Client::connect(&server, "")?.make_stream()?;
    Ok(Box::new(Real {
        address: server.site().address(0),
        server,
        kind: "nats",
        settings,
        ids,
        answers: Answers::OfItsOwn,
    }))
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
    Ok(Box::new(Real {
        address: server.site().address(0),
        server,
        kind: "kafka",
        settings,
        ids,
        answers: Answers::OfItsOwn,
    }))
}

/// Loki's API.
pub fn loki() -> AnySide {
    // It has the API below a path of its own.
    let settings = |scheme: Scheme, address: &str| url(scheme, &format!("{address}/insert"));
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
    Ok(Box::new(Real {
        address: server.site().address(0),
        server,
        kind: "loki",
        settings,
        ids,
        answers: Answers::Http,
    }))
}

/// rsyslog, by TCP.
pub fn syslog() -> AnySide {
    let settings =
        |scheme: Scheme, address: &str| format!("to = '{}'", scheme.url("tcp", "tls", address));
    let (server, ids) = (syslog::by_tcp("")?, syslog::ids as fn(&Server) -> _);
    let (address, answers) = (server.site().address(0), Answers::Never);
    Ok(Box::new(Real { address, server, kind: "syslog", settings, ids, answers }))
}

/// journald, by its socket.
pub fn journald() -> AnySide {
    let settings = |_, address: &str| format!("socket = '{address}'");
    let (server, ids) = (journald::server()?, |server: &Server| journald::ids(server.site()));
    let address = journald::socket(server.site()).display().to_string();
    let answers = Answers::Never;
    Ok(Box::new(Real { address, server, kind: "journald", settings, ids, answers }))
}

/// Alertmanager.
pub fn alertmanager() -> AnySide {
    Ok(Box::new(alertmanager::States::start()?))
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

    fn came(&self, expected: &[String]) -> Result<()> {
        let mut ids = Vec::new();
        for body in self.bodies() {
            let body: Value = serde_json::from_slice(&body)?;
            let records = body["records"].as_array().context("no records")?;
            for record in records {
                ids.push(id_of(&record["record"])?);
            }
        }
        nothing_lost_nor_reordered(expected, &ids)
    }

    fn up(&mut self) -> Result<()> {
        Receiver::up(self)
    }

    fn down(&mut self) -> Result<()> {
        Receiver::down(self)
    }

    fn answers(&self) -> Answers {
        Answers::Http
    }
}
