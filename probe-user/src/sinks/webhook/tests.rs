use super::{config::WebhookConfig, *};
use crate::{
    net::testing::{Act, Stub},
    sinks::{
        backend::Trouble,
        testing::{Bench, COMM, hostile},
    },
};

fn bench(stub: &Stub, more: &str) -> Bench {
    Bench::new::<WebhookConfig>(&format!("url = '{}/hook'\n{more}", stub.url())).unwrap()
}

#[test]
fn records_come_whole_and_with_their_ids() {
    let stub = Stub::new([Act::answer(202, "thanks")]);
    let (first, second) = (hostile(), hostile());
    let ids = [first.meta.id.clone(), second.meta.id.clone()];
    let answer = bench(&stub, "").send(vec![first, second]);
    assert_eq!(answer, Answer::Taken { said: "202 Accepted: thanks".into() });
    let seen = stub.next();
    assert_eq!((seen.path.as_str(), seen.header("content-type")), ("/hook", "application/json"));
    assert_eq!(seen.header("x-nodeprobe-signature"), "", "nobody asked for one");
    let body = seen.json();
    assert_eq!(body["node"], "node-1");
    let records = body["records"].as_array().unwrap();
    assert_eq!(records.iter().map(|record| &record["id"]).collect::<Vec<_>>(), [&ids[0], &ids[1]]);
    assert_eq!(records[0]["kind"], "finding");
    assert_eq!(records[0]["record"]["subject"]["process"]["comm"], COMM);
}

#[test]
fn a_signature_is_over_time_and_body() {
    // As `printf '1700000000.{}' | openssl dgst -sha256 -hmac key` says.
    let known = "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
    assert_eq!(sign("key", 1_700_000_000, b"{}"), known);
    let stub = Stub::new([]);
    bench(&stub, "secret = 'key'").send(vec![hostile()]);
    let seen = stub.next();
    let at = seen.header("x-nodeprobe-timestamp").parse().unwrap();
    assert_eq!(seen.header("x-nodeprobe-signature"), sign("key", at, &seen.body));
    assert!(!String::from_utf8_lossy(&seen.body).contains("key\""));
}

#[test]
fn answers_are_judged() {
    let wait = Act::Answer(429, vec![("retry-after", "7".into())], Vec::new());
    let stub = Stub::new([wait, Act::answer(400, "bad"), Act::answer(413, "")]);
    let mut bench = bench(&stub, "");
    let Answer::Later { trouble: Trouble { reason, .. }, after } = bench.send(vec![hostile()])
    else {
        panic!()
    };
    assert_eq!((reason, after.unwrap().as_secs()), (Reason::Busy, 7));
    assert_eq!(bench.send(vec![hostile()]), Answer::Refused("400 Bad Request: bad".into()));
    assert!(matches!(bench.send(vec![hostile()]), Answer::TooLarge(_)));
}

#[test]
fn mistakes_are_told() {
    let wrong = |toml: &str| Bench::new::<WebhookConfig>(toml).err().unwrap();
    assert!(wrong("").contains("url"));
    assert!(wrong("url = 'http://a'\nsecret = 'a'\nsecret_file = '/b'").contains("keep one"));
    assert!(
        wrong("url = 'http://127.0.0.1'\nsecret_file = '/nowhere'").contains("/nowhere: No such")
    );
    assert!(wrong("url = 'http://a'\nurll = ''").contains("secret_file"), "it says what there is");
}
