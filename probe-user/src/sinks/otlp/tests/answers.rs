use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use hyper::{HeaderMap, header::HeaderValue};
use proptest::prelude::*;
use prost::Message;

use crate::sinks::{
    backend::{Answer, Reason, Verdict},
    otlp::{
        grpc::{ended, framed, of_http, unframed},
        outcome::{Ended, succeeded},
        proto::{
            Delay, Detail, ExportLogsPartialSuccess, ExportLogsServiceResponse, RetryInfo, Status,
        },
    },
};

fn failed(code: i32, retry_after: Option<Duration>) -> Answer {
    Ended { code, message: "so it is".into(), retry_after }.judged()
}

fn partial(rejected: i64, message: &str, of: usize) -> Answer {
    let partial =
        ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message.into() };
    let response = ExportLogsServiceResponse { partial_success: Some(partial) };
    succeeded(&response.encode_to_vec(), of)
}

#[test]
fn what_the_protocol_calls_retryable_is_tried_again() {
    for code in [1, 4, 10, 11, 14, 15] {
        assert!(matches!(failed(code, None), Answer::Later { after: None, .. }), "{code}");
    }
    for code in [2, 3, 5, 6, 9, 13, 17, -1, i32::MAX] {
        assert!(matches!(failed(code, None), Answer::Refused(_)), "{code}");
    }
    let asked = Some(Duration::from_secs(7));
    let Answer::Later { trouble, after } = failed(8, asked) else { panic!() };
    assert_eq!((trouble.reason, after), (Reason::Busy, asked));
    assert_eq!(trouble.text, "RESOURCE_EXHAUSTED: so it is");
    assert!(matches!(failed(8, None), Answer::TooLarge(_)), "only with a RetryInfo");
}

#[test]
fn records_wait_for_who_mends_our_rights_or_our_address() {
    for code in [7, 16] {
        let Answer::Later { trouble, .. } = failed(code, None) else { panic!("{code}") };
        assert_eq!(trouble.reason, Reason::Auth);
    }
    let Answer::Later { trouble, .. } = failed(12, None) else { panic!() };
    assert!(trouble.text.contains("is it an OTLP server"), "{}", trouble.text);
}

#[test]
fn what_is_rejected_is_never_sent_again() {
    assert_eq!(succeeded(&[], 3), Answer::taken());
    assert_eq!(partial(0, "", 3), Answer::taken());
    assert_eq!(partial(-5, "", 3), Answer::taken(), "less than none is none");
    let Answer::Taken { said } = partial(0, "use\nanother", 3) else { panic!() };
    assert_eq!(said, "taken, with a warning: use another");
    assert_eq!(partial(2, "no", 3), Answer::Partly { refused: 2, why: "no".into() });
    let all = Answer::Each(vec![Verdict::Refused("no".into()); 3]);
    assert_eq!(partial(3, "no", 3), all);
    assert_eq!(partial(i64::MAX, "no", 3), all, "more than were sent");
    assert!(matches!(succeeded(b"<html>", 3), Answer::Later { .. }));
}

#[test]
fn a_message_is_framed() {
    assert_eq!(framed(b"ab", false), b"\0\0\0\0\x02ab");
    assert_eq!(framed(&[], true), b"\x01\0\0\0\0");
    assert_eq!(unframed(&framed(b"ab", false)), Ok(&b"ab"[..]));
    for wrong in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x01", b"\0\0\0\0\0x", b"\x01\0\0\0\x01a"] {
        assert!(unframed(wrong).is_err(), "{wrong:?}");
    }
}

fn trailers(all: &[(&'static str, &str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn trailers_tell_how_a_call_ended() {
    let told = trailers(&[("grpc-status", "14"), ("grpc-message", "too%20busy %C3%A9%zz%")]);
    let message = "too busy é%zz%".to_owned();
    assert_eq!(ended(&told), Some(Ended { code: 14, message, retry_after: None }));
    assert_eq!(ended(&trailers(&[("grpc-status", "0")])), Some(Ended::default()));
    for nothing in ["", "x", "1e9", "99999999999"] {
        assert_eq!(ended(&trailers(&[("grpc-status", nothing)])), None);
    }
    assert_eq!(ended(&trailers(&[])), None);
}

/// What `grpc-status-details-bin` holds where the other side asks for a delay.
pub fn asking_for(seconds: i64, nanos: i32) -> String {
    let delay = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
    let detail =
        |type_url: &str| Detail { type_url: type_url.into(), value: delay.encode_to_vec() };
    let other = detail("type.googleapis.com/google.rpc.DebugInfo");
    let details = vec![other, detail("type.googleapis.com/google.rpc.RetryInfo")];
    let status = Status { code: 8, message: String::new(), details };
    STANDARD_NO_PAD.encode(status.encode_to_vec())
}

#[test]
fn a_retry_info_tells_how_long_to_wait() {
    let told = |header: &str| {
        let told = trailers(&[("grpc-status", "8"), ("grpc-status-details-bin", header)]);
        ended(&told).unwrap().retry_after
    };
    assert_eq!(told(&asking_for(2, 500_000_000)), Some(Duration::from_millis(2_500)));
    assert_eq!(told(&asking_for(-1, 0)), None);
    assert!(told(&asking_for(i64::MAX, i32::MAX)).unwrap() > Duration::from_secs(600));
    assert_eq!(told("!"), None);
}

#[test]
fn an_answer_that_is_no_grpc_is_taken_by_its_http_status() {
    let reason = |status| match of_http(status).judged() {
        Answer::Later { trouble, .. } => Some(trouble.reason),
        _ => None,
    };
    assert_eq!([401, 403].map(reason), [Some(Reason::Auth); 2]);
    assert_eq!([429, 502, 503, 504].map(reason), [Some(Reason::Busy); 4]);
    assert_eq!(reason(404), Some(Reason::Protocol));
    assert_eq!([400, 500].map(reason), [None; 2]);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(bytes: Vec<u8>, header: Vec<u8>, records in 0_usize..9) {
        let _ = succeeded(&bytes, records);
        let _ = unframed(&bytes).map(|message| succeeded(message, records));
        if let Ok(value) = HeaderValue::from_bytes(&header) {
            let names = ["grpc-status-details-bin", "grpc-message"].map(|name| name.parse().unwrap());
            let mut told = trailers(&[("grpc-status", "8")]);
            names.into_iter().for_each(|name: hyper::header::HeaderName| {
                told.insert(name, value.clone());
            });
            let _ = ended(&told).unwrap().judged();
        }
    }
}
