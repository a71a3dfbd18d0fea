//! The sink and a server that does what the test says. What a real one does is tested against a real one.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime,
};

use crate::{
    findings::testing::finding,
    sinks::{
        Answer, Backend, Kind,
        backend::{Reason, Verdict},
        kinds::Site,
        nats::config::NatsConfig,
        record::Record,
    },
};

const INFO: &str = "INFO {\"headers\":true,\"max_payload\":65536}\r\n";
const TAKEN: &str = r#"{"stream":"S","seq":1}"#;

fn run(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Never a measure.
    let guarded = async { tokio::time::timeout(Duration::from_secs(60), test).await };
    runtime.block_on(guarded).unwrap();
}

struct Stub(TcpListener);

/// A connection to the sink.
struct Met(BufReader<TcpStream>);

impl Stub {
    async fn start() -> (Self, Box<dyn Backend>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("url = 'nats://{}'\nauth.token = 't'", listener.local_addr().unwrap());
        let config: NatsConfig = toml::from_str(&url).unwrap();
        let site = Site { sink: "test", node: "node".into() };
        (Self(listener), config.open(&site).unwrap())
    }

    /// Meets the sink up to where it would publish.
    async fn meet(&self) -> Met {
        let (stream, _) = self.0.accept().await.unwrap();
        let mut met = Met(BufReader::new(stream));
        met.say(INFO).await;
        assert!(met.line().await.contains("\"auth_token\":\"t\""));
        assert!(met.line().await.starts_with("SUB _INBOX."));
        assert_eq!(met.line().await, "PING");
        met.say("PONG\r\n").await;
        met
    }
}

impl Met {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Takes a message; where its answer has to go.
    async fn message(&mut self) -> String {
        let line = self.line().await;
        let words: Vec<_> = line.split(' ').collect();
        let ["HPUB", "nodeprobe", reply, _, total] = words[..] else { panic!("{line}") };
        let mut body = vec![0; total.parse::<usize>().unwrap() + 2];
        self.0.read_exact(&mut body).await.unwrap();
        reply.into()
    }

    async fn answer(&mut self, body: &str) {
        let reply = self.message().await;
        self.say(&format!("MSG {reply} 1 {}\r\n{body}\r\n", body.len())).await;
    }
}

fn batch(records: usize) -> Vec<Arc<Record>> {
    (0..records).map(|_| Arc::new(Record::of_finding(finding()))).collect()
}

fn last(answer: Answer) -> (usize, Reason, String) {
    match answer {
        Answer::Later { trouble, .. } => (0, trouble.reason, trouble.text),
        Answer::Each(mut verdicts) => match verdicts.pop() {
            Some(Verdict::Later(trouble)) => (verdicts.len(), trouble.reason, trouble.text),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_record_is_acknowledged() {
    run(async {
        let (stub, mut backend) = Stub::start().await;
        let batch = batch(2);
        let serve = async {
            let mut met = stub.meet().await;
            met.say("PING\r\nINFO {\"headers\":true,\"max_payload\":65536}\r\n").await;
            met.say("MSG _INBOX.other.1 1 2\r\n{}\r\n").await;
            met.answer(TAKEN).await;
            assert_eq!(met.line().await, "PONG");
            met.answer(TAKEN).await;
            met
        };
        let (answer, mut met) = tokio::join!(backend.send(&batch), serve);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
        // The same connection is used again.
        let (answer, ()) = tokio::join!(backend.send(&batch[..1]), met.answer(TAKEN));
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    });
}

#[test]
fn none_is_sent_behind_one_that_has_to_be_sent_again() {
    run(async {
        let (stub, mut backend) = Stub::start().await;
        let serve = async {
            let mut met = stub.meet().await;
            met.answer(TAKEN).await;
            let reply = met.message().await;
            met.say(&format!("HMSG {reply} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")).await;
        };
        let batch = batch(3);
        let (answer, ()) = tokio::join!(backend.send(&batch), serve);
        let (taken, reason, text) = last(answer);
        assert_eq!((taken, reason), (1, Reason::Server));
        assert!(text.contains("no stream takes this subject"), "{text}");
    });
}

#[test]
fn what_is_too_large_is_refused_alone() {
    run(async {
        let (stub, mut backend) = Stub::start().await;
        let small = Arc::new(Record::of_finding(finding()));
        let large = Record::of_json(small.meta.clone(), "x".repeat(70_000));
        let batch = [Arc::new(large), small];
        let serve = async { stub.meet().await.answer(TAKEN).await };
        let (answer, ()) = tokio::join!(backend.send(&batch), serve);
        let Answer::Each(verdicts) = answer else { panic!("{answer:?}") };
        let [Verdict::Refused(why), Verdict::Taken] = &verdicts[..] else { panic!("{verdicts:?}") };
        assert!(why.contains("max_payload is 65536"), "{why}");
    });
}

#[test]
fn a_server_that_ends_in_the_middle_is_met_anew() {
    run(async {
        let (stub, mut backend) = Stub::start().await;
        let batch = batch(2);
        let serve = async {
            let mut met = stub.meet().await;
            met.answer(TAKEN).await;
            met.message().await;
        };
        let (answer, ()) = tokio::join!(backend.send(&batch), serve);
        let (taken, reason, _) = last(answer);
        assert_eq!((taken, reason), (1, Reason::Connect));
        let serve = async { stub.meet().await.answer(TAKEN).await };
        let (answer, ()) = tokio::join!(backend.send(&batch[1..]), serve);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    });
}

#[test]
fn one_that_hangs_is_met_anew_when_it_was_given_up() {
    run(async {
        let (stub, mut backend) = Stub::start().await;
        let batch = batch(1);
        let hang = async {
            let mut met = stub.meet().await;
            met.message().await;
            met
        };
        let _hung = tokio::select! {
            answer = backend.send(&batch) => panic!("{answer:?}"),
            met = hang => met,
        };
        let serve = async { stub.meet().await.answer(TAKEN).await };
        let (answer, ()) = tokio::join!(backend.send(&batch), serve);
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    });
}

#[test]
fn who_is_not_let_in_or_meets_something_else_is_told() {
    run(async {
        let (stub, mut backend) = Stub::start().await;
        let batch = batch(1);
        let said = [
            ("INFO {\"headers\":true}\r\n-ERR 'Authorization Violation'\r\n", Reason::Auth),
            ("SSH-2.0-OpenSSH_9.2\r\n", Reason::Protocol),
            ("INFO {\"headers\":false}\r\n", Reason::Protocol),
            ("INFO {\"headers\":true,\"tls_required\":true}\r\nx", Reason::Protocol),
            ("PING\r\n", Reason::Protocol),
            ("", Reason::Connect),
        ];
        for (said, expected) in said {
            let serve = async {
                let (mut stream, _) = stub.0.accept().await.unwrap();
                stream.write_all(said.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                stream
            };
            let (answer, _stream) = tokio::join!(backend.send(&batch), serve);
            let (_, reason, text) = last(answer);
            assert_eq!(reason, expected, "{said:?}: {text}");
            assert!(text.starts_with("nats://127.0.0.1:"), "{text}");
        }
        let endless = async {
            let (mut stream, _) = stub.0.accept().await.unwrap();
            // It is cut off before it took all of that.
            let _ = stream.write_all(&vec![b'a'; 1024 * 1024]).await;
        };
        let (answer, ()) = tokio::join!(backend.send(&batch), endless);
        assert_eq!(last(answer).1, Reason::Protocol);
    });
}
