//! The sink and a collector that misbehaves.

use std::sync::Arc;

use tokio::runtime;

use super::{
    answers::asking_for,
    stub::{Play, Sent, Stub},
};
use crate::{
    findings::testing::finding,
    sinks::{
        Answer, Backend, Kind,
        backend::Reason,
        kinds::Site,
        otlp::{
            config::{OtlpConfig, Protocol},
            proto::{ExportLogsPartialSuccess, ExportLogsServiceResponse},
        },
        record::Record,
    },
};

const BOTH: [Protocol; 2] = [Protocol::Http, Protocol::Grpc];

fn run(test: impl Future<Output = ()>) {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn backend(protocol: Protocol, port: u16, more: &str) -> Box<dyn Backend> {
    let protocol = if protocol == Protocol::Http { "http" } else { "grpc" };
    let toml = format!("url = 'http://127.0.0.1:{port}'\nprotocol = '{protocol}'\n{more}");
    let config: OtlpConfig = toml::from_str(&toml).unwrap();
    config.open(&Site { sink: "test", node: "node".into() }).unwrap()
}

fn batch(records: usize) -> Vec<Arc<Record>> {
    (0..records).map(|_| Arc::new(Record::of_finding(finding()))).collect()
}

fn summaries(sent: &Sent) -> usize {
    sent.records.iter().filter(|record| record.body.is_some()).count()
}

fn reason(answer: &Answer) -> Option<Reason> {
    match answer {
        Answer::Later { trouble, .. } => Some(trouble.reason),
        _ => None,
    }
}

#[test]
fn a_batch_arrives_compressed_or_not() {
    run(async {
        for protocol in BOTH {
            let mut stub = Stub::start(protocol, []).await;
            for gzip in ["gzip = true", "gzip = false\n[headers]\nx-tenant = 'a'"] {
                let mut backend = backend(protocol, stub.port, gzip);
                assert_eq!(backend.send(&batch(3)).await, Answer::taken());
                let sent = stub.sent.recv().await.unwrap();
                assert_eq!(summaries(&sent), 3);
                let (path, kind) = match protocol {
                    Protocol::Http => ("/v1/logs", "application/x-protobuf"),
                    Protocol::Grpc => (
                        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                        "application/grpc+proto",
                    ),
                };
                assert_eq!(
                    (sent.path.as_str(), &sent.headers["content-type"]),
                    (path, &kind.parse().unwrap())
                );
                assert_eq!(sent.headers.contains_key("x-tenant"), gzip.contains("x-tenant"));
                let encoding = ["content-encoding", "grpc-encoding"];
                let encoded = encoding.iter().any(|name| sent.headers.contains_key(*name));
                assert_eq!(encoded, gzip.contains("true"));
            }
        }
    });
}

#[test]
fn a_partial_success_is_told() {
    run(async {
        for protocol in BOTH {
            let partial_success = Some(ExportLogsPartialSuccess {
                rejected_log_records: 1,
                error_message: "old".into(),
            });
            let play = Play::Answer(ExportLogsServiceResponse { partial_success });
            let stub = Stub::start(protocol, [play]).await;
            let answer = backend(protocol, stub.port, "").send(&batch(3)).await;
            assert_eq!(answer, Answer::Partly { refused: 1, why: "old".into() });
        }
    });
}

#[test]
fn what_it_says_by_grpc_is_understood() {
    run(async {
        let message = ("grpc-message", "queue%20is%20full".to_owned());
        let details = ("grpc-status-details-bin", asking_for(3, 0));
        let plays = [
            Play::Fail(14, vec![message.clone()]),
            Play::Fail(8, vec![message.clone(), details]),
            Play::Fail(8, vec![message.clone()]),
            Play::Fail(3, vec![message]),
            Play::Http(503, vec![]),
            Play::Http(200, vec![]),
        ];
        let stub = Stub::start(Protocol::Grpc, plays).await;
        let mut backend = backend(Protocol::Grpc, stub.port, "");
        let batch = batch(1);
        let unavailable = backend.send(&batch).await;
        assert_eq!(unavailable, Answer::later(Reason::Busy, "UNAVAILABLE: queue is full"));
        let Answer::Later { after, .. } = backend.send(&batch).await else { panic!() };
        assert_eq!(after.map(|after| after.as_secs()), Some(3));
        let full = "RESOURCE_EXHAUSTED: queue is full".to_owned();
        assert_eq!(backend.send(&batch).await, Answer::TooLarge(full));
        assert!(matches!(backend.send(&batch).await, Answer::Refused(_)));
        assert_eq!(reason(&backend.send(&batch).await), Some(Reason::Busy));
        assert_eq!(reason(&backend.send(&batch).await), Some(Reason::Protocol), "no gRPC at all");
        assert_eq!(backend.send(&batch).await, Answer::taken());
    });
}

#[test]
fn what_it_says_by_http_is_understood() {
    run(async {
        let plays = [
            Play::Http(429, vec![("retry-after", "7".into())]),
            Play::Http(503, vec![]),
            Play::Http(413, vec![]),
            Play::Http(400, vec![]),
            Play::Http(500, vec![]),
            Play::Http(401, vec![]),
        ];
        let stub = Stub::start(Protocol::Http, plays).await;
        let mut backend = backend(Protocol::Http, stub.port, "");
        let batch = batch(1);
        let Answer::Later { after, .. } = backend.send(&batch).await else { panic!() };
        assert_eq!(after.map(|after| after.as_secs()), Some(7));
        assert_eq!(reason(&backend.send(&batch).await), Some(Reason::Busy));
        assert!(matches!(backend.send(&batch).await, Answer::TooLarge(_)));
        assert!(matches!(backend.send(&batch).await, Answer::Refused(_)));
        assert!(matches!(backend.send(&batch).await, Answer::Refused(_)), "as the protocol has it");
        assert_eq!(reason(&backend.send(&batch).await), Some(Reason::Auth));
    });
}

#[test]
fn one_that_ends_in_the_middle_is_met_anew() {
    run(async {
        for protocol in BOTH {
            let mut stub = Stub::start(protocol, [Play::Close]).await;
            let mut backend = backend(protocol, stub.port, "");
            let answer = backend.send(&batch(2)).await;
            assert!(reason(&answer).is_some(), "{protocol:?}: {answer:?}");
            assert_eq!(backend.send(&batch(2)).await, Answer::taken());
            let counts = [stub.sent.recv().await, stub.sent.recv().await];
            assert_eq!(counts.map(|sent| summaries(&sent.unwrap())), [2, 2]);
        }
    });
}

#[test]
fn one_that_hangs_can_be_given_up() {
    run(async {
        for protocol in BOTH {
            let mut stub = Stub::start(protocol, [Play::Hang]).await;
            let mut backend = backend(protocol, stub.port, "");
            let batch = batch(1);
            tokio::select! {
                answer = backend.send(&batch) => panic!("{answer:?}"),
                sent = stub.sent.recv() => assert!(sent.is_some()),
            }
            assert_eq!(backend.send(&batch).await, Answer::taken(), "{protocol:?}");
        }
    });
}

#[test]
fn nobody_at_the_address_is_told() {
    run(async {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for protocol in BOTH {
            let answer = backend(protocol, port, "").send(&batch(1)).await;
            assert_eq!(reason(&answer), Some(Reason::Connect), "{answer:?}");
        }
    });
}
