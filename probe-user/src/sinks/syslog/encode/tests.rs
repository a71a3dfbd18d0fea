use super::*;
use crate::{
    findings::{Severity, State, testing::finding},
    text::{
        steers,
        testing::{HOSTILE as NAMES, is_plain, records},
    },
};

fn encoder(body: Body, most: usize) -> Encoder {
    Encoder::new(Facility::Local3, SdId::default(), body, most, "node-1")
}

fn message(encoder: &Encoder, record: &Record) -> String {
    String::from_utf8(encoder.message(record)).unwrap()
}

/// A record whose every text is `text`.
fn of_text(text: &str) -> Record {
    let mut meta = Record::of_finding(finding()).meta;
    for field in [&mut meta.id, &mut meta.signal, &mut meta.rule, &mut meta.summary] {
        *field = text.into();
    }
    let json = serde_json::json!({ "summary": text }).to_string();
    Record::of_json(meta, json)
}

const HOSTILE: &str = "a\"b\\c]d\ne\0f\x1bg\u{85}h é \u{2028}";

#[test]
fn a_finding_is_a_message_of_rfc_5424() {
    let mut finding = finding();
    finding.last_seen = "2026-11-21T18:54:21.1234567Z".parse().unwrap();
    finding.summary = "sh cannot fork".into();
    let id = finding.id.clone();
    let record = Record::of_finding(finding);
    let process = process::id();
    let expected = format!(
        "<156>1 2026-11-21T18:54:21.123456Z node-1 nodeprobe {process} fork-failures \
         [nodeprobe@32473 id=\"{id}-1\" kind=\"finding\" signal=\"fork\" rule=\"fork-failures\" \
         severity=\"warning\" state=\"firing\"] \u{feff}sh cannot fork"
    );
    assert_eq!(message(&encoder(Body::Summary, 8192), &record), expected);
    let json = message(&encoder(Body::Json, 65_000), &record);
    assert_eq!(json.split_once(BOM).unwrap().1, record.json());
}

#[test]
fn the_priority_is_that_of_the_severity_and_what_is_over_calls_nobody() {
    let of = |severity, state| {
        let mut meta = Record::of_finding(finding()).meta;
        (meta.severity, meta.state) = (severity, state);
        let record = Record::of_json(meta, "{}".into());
        message(&encoder(Body::Summary, 8192), &record).split_once('>').unwrap().0[1..].to_owned()
    };
    let firing = Some(State::Firing);
    assert_eq!(of(Severity::Critical, firing), "154");
    assert_eq!(of(Severity::Warning, firing), "156");
    assert_eq!(of(Severity::Info, firing), "158");
    assert_eq!(of(Severity::Critical, Some(State::Resolved)), "157");
    assert_eq!(of(Severity::Info, None), "158");
}

#[test]
fn hostile_text_breaks_no_message() {
    let record = of_text(HOSTILE);
    for body in [Body::Summary, Body::Json] {
        let message = message(&encoder(body, 8192), &record);
        assert!(!message.chars().any(char::is_control), "{message:?}");
        let (head, text) = message.split_once(BOM).unwrap();
        assert!(head.contains(" a?b") || head.contains(" a\"b\\c]d?e?f?g?h???? ["), "{head}");
        let escaped = "id=\"a\\\"b\\\\c\\]d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h é \u{fffd}\"";
        assert!(head.contains(escaped), "{head}");
        if body == Body::Json {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(json["summary"].as_str().unwrap().starts_with("a\"b\\c]d\ne\0f"));
        }
    }
}

#[test]
fn no_name_breaks_a_message() {
    for (name, record) in records() {
        let [summary, json] = [Body::Summary, Body::Json].map(|body| {
            let message = message(&encoder(body, 65_000), &record);
            assert!(is_plain(&message), "{message:?}");
            message.split_once(BOM).unwrap().1.to_owned()
        });
        assert_eq!((summary.as_str(), json.as_str()), (&*record.meta.summary, record.json()));
        let framed = frame(summary.into_bytes(), Framing::Lf);
        assert_eq!(framed.iter().filter(|byte| **byte == b'\n').count(), 1, "{name:?}");
    }
    for name in NAMES {
        let value = escaped(name);
        assert!(!value.chars().any(steers), "{value:?}");
        let unescaped = value.replace("\\\\", "").replace("\\\"", "").replace("\\]", "");
        assert!(!unescaped.contains(['"', '\\', ']']), "{value:?}");
    }
}

#[test]
fn names_have_their_length() {
    let record = of_text(&"ü".repeat(300));
    let encoder =
        Encoder::new(Facility::User, SdId::default(), Body::Summary, 8192, &"n".repeat(300));
    let message = message(&encoder, &record);
    let fields: Vec<_> = message.splitn(7, ' ').collect();
    assert_eq!((fields[2].len(), fields[5]), (255, "?".repeat(32).as_str()));
    assert!(message.contains(&format!("id=\"{}\"", "ü".repeat(32))), "{message}");
    let nameless = Encoder::new(Facility::User, SdId::default(), Body::Summary, 8192, "");
    let of_nothing = String::from_utf8(nameless.message(&of_text(""))).unwrap();
    assert!(of_nothing.contains("Z - nodeprobe ") && of_nothing.contains(" - [nodeprobe@"));
}

#[test]
fn what_is_too_long_is_cut_between_characters_and_says_so() {
    let long = "é]".repeat(20_000);
    for most in 1_024..1_030 {
        let message = message(&encoder(Body::Summary, most), &of_text(&long));
        assert!((most - 3..=most).contains(&message.len()), "{} of {most}", message.len());
        assert!(message.ends_with(" [cut]"));
    }
    let mut meta = Record::of_finding(finding()).meta;
    meta.summary = "short".into();
    let record = Record::of_json(meta, serde_json::json!({ "long": long }).to_string());
    let message = message(&encoder(Body::Json, 1_024), &record);
    assert!(message.ends_with("\u{feff}short [cut]"), "half of a JSON object is none: {message}");
}

#[test]
fn the_header_always_has_room() {
    // The longest there can be: all of it escaped, and a name of 255.
    let record = of_text(&"]".repeat(200));
    let sd_id: SdId = format!("{}@{}", "x".repeat(15), "9".repeat(16)).try_into().unwrap();
    let host = "h".repeat(255);
    let encoder = Encoder::new(Facility::Local7, sd_id, Body::Summary, usize::MAX, &host);
    let head = message(&encoder, &record).split_once(BOM).unwrap().0.len();
    // What `max_bytes` is at least.
    assert!(head + BOM.len() + CUT.len() <= 1_024, "{head}");
}

#[test]
fn frames_are_told_apart() {
    assert_eq!(frame(b"<1>1 a".to_vec(), Framing::OctetCounted), b"6 <1>1 a");
    assert_eq!(frame(b"<1>1 a".to_vec(), Framing::Lf), b"<1>1 a\n");
}
