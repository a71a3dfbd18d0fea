use proptest::prelude::*;

use crate::{
    findings::testing::finding,
    sinks::{
        backend::{Reason, Verdict},
        nats::encode::{
            Credentials, Info, Line, connect, line, payload, publish, trouble, verdict,
        },
        record::{Meta, Record},
    },
    text::testing::{is_plain, records},
};

#[test]
fn a_record_is_a_message_with_headers() {
    let record = Record::of_finding(finding());
    let message = publish("nodeprobe", "_INBOX.x.1", "node-1", &record);
    let text = String::from_utf8(message.clone()).unwrap();
    let (first, rest) = text.split_once("\r\n").unwrap();
    let words: Vec<_> = first.split(' ').collect();
    let [verb, subject, reply, headers, total] = words[..] else { panic!("{first}") };
    assert_eq!((verb, subject, reply), ("HPUB", "nodeprobe", "_INBOX.x.1"));
    let (headers, total): (usize, usize) = (headers.parse().unwrap(), total.parse().unwrap());
    assert_eq!(payload(&message), total);
    assert_eq!(rest.len(), total + 2);
    let (headers, body) = rest.split_at(headers);
    assert_eq!(body, format!("{}\r\n", record.json()));
    let expected = format!(
        "NATS/1.0\r\nNats-Msg-Id: {}\r\nnode: node-1\r\nkind: finding\r\nsignal: fork\r\n\
         rule: fork-failures\r\nseverity: warning\r\n\r\n",
        record.meta.id
    );
    assert_eq!(headers, expected);
}

#[test]
fn names_stay_in_their_line_and_in_their_length() {
    for (name, record) in records() {
        let text = String::from_utf8(publish("a.b", "r", name, &record)).unwrap();
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(lines.len(), 11, "{name:?}: {text:?}");
        assert!(lines[..8].iter().all(|line| is_plain(line)), "{text:?}");
        assert!(lines[0].starts_with("HPUB a.b r ") && lines[3].starts_with("node: "), "{text:?}");
        assert_eq!((lines[8], lines[9], lines[10]), ("", record.json(), ""));
    }
}

#[test]
fn no_name_begins_another_header_or_message() {
    let meta = Record::of_finding(finding()).meta;
    let meta = Meta { id: "a\r\nNats-Rollup: all\r\n\r\nPUB b 0".into(), ..meta };
    let record = Record::of_json(meta, "{}".into());
    let message = publish("s", "r", "n\u{85}\r\nx: y", &record);
    let text = String::from_utf8(message).unwrap();
    assert_eq!(text.matches("\r\n").count(), 10, "{text:?}");
    assert!(!text.contains("\r\nx: y") && !text.contains("\r\nPUB"), "{text:?}");
}

#[test]
fn it_says_who_it_is_as_json() {
    let json = |credentials| {
        let line = connect("node\"\r\n1", &credentials);
        assert_eq!(line.matches("\r\n").count(), 1, "{line}");
        let json = line.strip_prefix("CONNECT ").unwrap();
        serde_json::from_str::<serde_json::Value>(json).unwrap()
    };
    let nobody = json(Credentials::None {});
    assert_eq!((&nobody["name"], &nobody["headers"]), (&"node\"\r\n1".into(), &true.into()));
    assert!(nobody.get("user").is_none() && nobody.get("auth_token").is_none());
    let user = json(Credentials::User { user: "u".into(), pass: "p\"".into() });
    assert_eq!((&user["user"], &user["pass"]), (&"u".into(), &"p\"".into()));
    let token = json(Credentials::Token { auth_token: "t".into() });
    assert_eq!(token["auth_token"], "t");
}

#[test]
fn lines_of_a_server_are_understood() {
    let info =
        r#"INFO {"server_id":"x","max_payload":1048576,"headers":true,"tls_required":false}"#;
    let expected = Info { max_payload: 1_048_576, headers: true, tls_required: false };
    assert_eq!(line(info), Some(Line::Info(expected)));
    assert_eq!(line("PING\r\n"), Some(Line::Ping));
    assert_eq!(line("pong\r\n"), Some(Line::Pong));
    assert_eq!(line("+OK\r\n"), Some(Line::Ok));
    assert_eq!(line("-ERR 'No\u{1b}'\r\n"), Some(Line::Error("No ".into())));
    let message = |headers, total| Line::Message { subject: "a.b".into(), headers, total };
    assert_eq!(line("MSG a.b 1 7\r\n"), Some(message(0, 7)));
    assert_eq!(line("MSG a.b 1 reply 7\r\n"), Some(message(0, 7)));
    assert_eq!(line("HMSG a.b 1 5 7\r\n"), Some(message(5, 7)));
    assert_eq!(line("HMSG a.b 1 reply 5 7\r\n"), Some(message(5, 7)));
    for wrong in
        ["", "INFO", "INFO 1", "MSG", "MSG a 1", "MSG a 1 x", "HMSG a 1 8 7", "HTTP/1.1 400"]
    {
        assert_eq!(line(wrong), None, "{wrong}");
    }
}

#[test]
fn the_answer_of_a_stream_is_judged() {
    let of = |json: &str| verdict(b"", json.as_bytes());
    assert_eq!(of(r#"{"stream":"S","seq":1}"#), Verdict::Taken);
    assert_eq!(of(r#"{"stream":"S","seq":1,"duplicate":true}"#), Verdict::Taken);
    let refused = r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#;
    assert_eq!(of(refused), Verdict::Refused("message size exceeds maximum allowed".into()));
    let reason = |verdict| match verdict {
        Verdict::Later(trouble) => Some(trouble.reason),
        _ => None,
    };
    let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"},"stream":"S"}"#;
    assert_eq!(reason(of(full)), Some(Reason::Busy));
    assert_eq!(reason(of(r#"{"error":{"code":500}}"#)), Some(Reason::Server));
    assert_eq!(reason(verdict(b"NATS/1.0 503\r\n\r\n", b"")), Some(Reason::Server));
    for no_answer in ["", "{}", "[]", "+ACK", r#"{"stream":""}"#] {
        assert_eq!(reason(of(no_answer)), Some(Reason::Protocol), "{no_answer}");
    }
}

#[test]
fn errors_of_a_server_are_told_apart() {
    let of = |error| trouble(error).reason;
    assert_eq!(of("Authorization Violation"), Reason::Auth);
    assert_eq!(of("Permissions Violation for Publish to \"x\""), Reason::Auth);
    assert_eq!(of("Secure Connection - TLS Required"), Reason::Tls);
    assert_eq!(of("maximum connections exceeded"), Reason::Busy);
    assert_eq!(of("Parser Error"), Reason::Server);
}

proptest! {
    #[test]
    fn no_server_makes_it_panic(text: String, headers: Vec<u8>, body: Vec<u8>) {
        let _ = line(&text);
        for word in ["INFO", "MSG", "HMSG", "-ERR"] {
            let _ = line(&format!("{word} {text}"));
        }
        let _ = verdict(&headers, &body);
    }
}
