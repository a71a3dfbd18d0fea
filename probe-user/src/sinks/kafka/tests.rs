use std::{sync::Arc, time::Duration};

use rskafka::client::error::{Error, ProtocolError, RequestContext};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime,
};

use crate::{
    findings::testing::finding,
    sinks::{
        Answer, Backend, Kind,
        backend::Reason,
        kafka::{
            config::KafkaConfig,
            encode::{messages, partition},
            outcome::judged,
        },
        kinds::Site,
        record::{Meta, Record},
    },
};

fn config(toml: &str) -> Result<KafkaConfig, String> {
    toml::from_str(toml).map_err(|error: toml::de::Error| error.message().to_owned())
}

fn open(toml: &str) -> Result<Box<dyn Backend>, String> {
    config(toml).unwrap().open(&Site { sink: "test", node: "node".into() })
}

fn reason(answer: &Answer) -> Option<Reason> {
    match answer {
        Answer::Later { trouble, .. } => Some(trouble.reason),
        _ => None,
    }
}

#[test]
fn a_record_is_a_message_keyed_by_node() {
    let hostile = "a\0\r\n\u{202e}é".to_owned();
    let meta = Meta { rule: hostile.clone(), ..Record::of_finding(finding()).meta };
    let record = Arc::new(Record::of_json(meta.clone(), "{\"a\":1}".into()));
    let messages = messages("node-1", &[Arc::clone(&record), record]);
    let [message, _] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(message.key.as_deref(), Some(&b"node-1"[..]));
    assert_eq!(message.value.as_deref(), Some(&b"{\"a\":1}"[..]));
    assert_eq!(message.timestamp.timestamp_millis(), meta.at.as_millisecond());
    let headers = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8(value.clone()).unwrap()));
    let expected = [
        ("id", meta.id),
        ("kind", "finding".into()),
        ("node", "node-1".into()),
        ("rule", hostile),
        ("severity", "warning".into()),
        ("signal", "fork".into()),
    ];
    assert_eq!(headers.collect::<Vec<_>>(), expected);
}

/// Values of `UtilsTest.testMurmur2` in Kafka's own sources.
#[test]
fn a_key_has_the_partition_that_kafka_would_choose() {
    let known: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    for (key, hash) in known {
        let positive = (hash & 0x7fff_ffff) as usize;
        assert_eq!(partition(key.as_bytes(), usize::MAX), positive, "{key}");
        assert_eq!(partition(key.as_bytes(), 12), positive % 12);
    }
    assert_eq!(partition(b"x", 1), 0);
    assert_eq!(partition(b"", 0), 0, "none to choose from");
}

#[test]
fn each_error_of_a_broker_has_a_meaning() {
    let answer = |protocol_error| {
        let request = RequestContext::Topic("t".into());
        let error_message = Some("so\nit is".into());
        let error = Error::ServerError {
            protocol_error,
            error_message,
            request,
            response: None,
            is_virtual: false,
        };
        judged(&error, "t")
    };
    for error in [ProtocolError::MessageTooLarge, ProtocolError::RecordListTooLarge] {
        assert!(matches!(answer(error), Answer::TooLarge(_)));
    }
    let Answer::Refused(text) = answer(ProtocolError::InvalidRecord) else { panic!() };
    assert!(text.ends_with("so it is"), "{text}");
    let laters = [
        (ProtocolError::NotLeaderOrFollower, Reason::Server),
        (ProtocolError::LeaderNotAvailable, Reason::Server),
        (ProtocolError::KafkaStorageError, Reason::Server),
        (ProtocolError::NotEnoughReplicas, Reason::Busy),
        (ProtocolError::TopicAuthorizationFailed, Reason::Auth),
        (ProtocolError::SaslAuthenticationFailed, Reason::Auth),
        (ProtocolError::Unknown(-99), Reason::Server),
    ];
    for (error, expected) in laters {
        assert_eq!(reason(&answer(error)), Some(expected), "{error}");
    }
    let Answer::Later { trouble, .. } = answer(ProtocolError::UnknownTopicOrPartition) else {
        panic!()
    };
    assert!(trouble.text.contains("there is no topic \"t\""), "{}", trouble.text);
}

#[test]
fn what_is_no_broker_or_topic_is_told() {
    let brokers = |brokers: &str| config(&format!("brokers = {brokers}"));
    let right = brokers(r#"["kafka-1:9092", "10.0.0.1:9092", "[::1]:9092"]"#).unwrap();
    assert_eq!((right.topic.as_str(), right.tls), ("nodeprobe", None));
    for wrong in ["kafka", "kafka:", ":9092", "kafka:99999", "http://kafka:9092", "a b:1"] {
        let why = brokers(&format!("[{wrong:?}]")).unwrap_err();
        assert!(why.contains("kafka-1.example.com:9092"), "{wrong}: {why}");
    }
    assert!(brokers("[]").unwrap_err().contains("1 to 16"));
    for wrong in ["", "..", "a b", "a/b", "é"] {
        let why = config(&format!("brokers = ['k:1']\ntopic = {wrong:?}")).unwrap_err();
        assert!(why.contains("1 to 249"), "{wrong}: {why}");
    }
    let wrong = |more: &str| open(&format!("brokers = ['k:1']\n{more}")).err().unwrap();
    assert!(wrong("auth.token = 'x'").contains("username"));
    let named = "tls.server_name = 'k'";
    assert!(wrong(named).contains("all brokers") || wrong(named).contains("CA certificates"));
    assert!(wrong("tls.ca_file = '/nowhere'").contains("/nowhere"));
}

fn run(test: impl Future<Output = ()>) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // Never a measure.
    let guarded = async { tokio::time::timeout(Duration::from_secs(60), test).await };
    runtime.block_on(guarded).unwrap();
}

#[test]
fn one_that_is_no_broker_ends_or_hangs_is_told_or_given_up() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut backend = open(&format!("brokers = ['{address}']")).unwrap();
        let batch = [Arc::new(Record::of_finding(finding()))];
        for said in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0xff; 64]] {
            let serve = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4];
                stream.read_exact(&mut request).await.unwrap();
                stream.write_all(said).await.unwrap();
            };
            let (answer, ()) = tokio::join!(backend.send(&batch), serve);
            assert!(reason(&answer).is_some(), "{said:?}: {answer:?}");
        }
        let hang = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            stream
        };
        let _hung = tokio::select! {
            answer = backend.send(&batch) => panic!("{answer:?}"),
            stream = hang => stream,
        };
        drop(listener);
        assert_eq!(reason(&backend.send(&batch).await), Some(Reason::Connect));
    });
}
