//! Records as entries of streams. Labels are few and bounded, as each combination is a stream; what tells
//! one finding from another is structured metadata.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use super::proto::{Entry, Pair, PushRequest, Stream, Timestamp};
use crate::sinks::{
    facts::Facts,
    labels::Labels,
    record::{Kind, Meta, Record},
};

/// A push of a batch.
pub fn push(node: &str, own: &Labels, batch: &[Arc<Record>]) -> PushRequest {
    let mut streams = BTreeMap::<String, Vec<Entry>>::new();
    for record in batch {
        let labels = labels(node, own, &record.meta);
        streams.entry(labels).or_default().push(entry(record));
    }
    for entries in streams.values_mut() {
        // A finding's end may be from before another's beginning. Those of one time stay as they are.
        entries.sort_by_key(|entry| entry.timestamp.map(|at| (at.seconds, at.nanos)));
    }
    let streams = streams.into_iter().map(|(labels, entries)| Stream { labels, entries });
    PushRequest { streams: streams.collect() }
}

fn kind(meta: &Meta) -> &'static str {
    match meta.kind {
        Kind::Finding => "finding",
        Kind::Event => "event",
    }
}

fn labels(node: &str, own: &Labels, meta: &Meta) -> String {
    let mut labels: BTreeMap<&str, &str> =
        own.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    labels.extend([
        ("service_name", "nodeprobe"),
        ("node", node),
        ("kind", kind(meta)),
        ("signal", &meta.signal),
        ("rule", &meta.rule),
        ("severity", meta.severity.name()),
    ]);
    let mut text = String::from("{");
    for (name, value) in labels {
        let comma = if text.len() > 1 { ", " } else { "" };
        let _ = write!(text, "{comma}{name}={}", quoted(value));
    }
    text + "}"
}

/// A value of a label as Go's strconv.Unquote reads it.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text + "\""
}

fn entry(record: &Record) -> Entry {
    let (meta, facts) = (&record.meta, Facts::of(record));
    let [namespace, pod, container] = facts.place().map(|(_, value)| value.map(str::to_owned));
    let state = meta.state.map(|state| match state {
        crate::findings::State::Firing => "firing".to_owned(),
        crate::findings::State::Resolved => "resolved".to_owned(),
    });
    let process = facts.subject.process.as_ref();
    // OpenTelemetry's names, with _ for a full stop as Loki has them.
    let metadata = [
        ("record_id", Some(meta.id.clone())),
        ("finding_id", facts.id),
        ("state", state),
        ("incident_id", facts.incident.map(|incident| incident.id)),
        ("k8s_namespace_name", namespace),
        ("k8s_pod_name", pod),
        ("k8s_container_name", container),
        ("process_pid", process.and_then(|process| Some(process.pid?.to_string()))),
        ("process_command", process.and_then(|process| process.comm.clone())),
    ];
    let metadata = metadata.into_iter().filter_map(|(name, value)| {
        Some(Pair { name: name.into(), value: value.filter(|value| !value.is_empty())? })
    });
    let at = Timestamp { seconds: meta.at.as_second(), nanos: meta.at.subsec_nanosecond() };
    Entry {
        timestamp: Some(at),
        line: record.json().to_owned(),
        structured_metadata: metadata.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::testing::{is_plain, records};

    /// What Go's strconv.Unquote reads of a string without a control character is what JSON is.
    fn unquoted(labels: &str) -> BTreeMap<String, String> {
        let inside = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
        let mut rest = inside;
        let mut read = BTreeMap::new();
        while let Some((name, value)) = rest.split_once('=') {
            let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
            let text = values.next().unwrap().unwrap();
            rest = &value[values.byte_offset()..];
            rest = rest.strip_prefix(", ").unwrap_or(rest);
            assert!(read.insert(name.to_owned(), text).is_none(), "{labels}");
        }
        assert!(rest.is_empty(), "{labels}");
        read
    }

    #[test]
    fn no_name_makes_a_label() {
        for (name, record) in records() {
            let own = Labels(BTreeMap::from([("cluster".into(), name.into())]));
            let push = push(name, &own, &[record]);
            let [stream] = &push.streams[..] else { panic!("{push:?}") };
            let labels = unquoted(&stream.labels);
            assert_eq!((labels.len(), &*labels["node"], &*labels["cluster"]), (7, name, name));
            let [entry] = &stream.entries[..] else { panic!("{stream:?}") };
            assert!(is_plain(&entry.line), "{:?}", entry.line);
            let told = |of: &str| entry.structured_metadata.iter().find(|pair| pair.name == of);
            assert_eq!(told("process_command").unwrap().value, name);
            assert_eq!(told("k8s_pod_name").unwrap().value, name);
        }
    }

    #[test]
    fn a_value_is_quoted_as_go_reads_it() {
        assert_eq!(quoted("a\"b\\c\nd\u{1b}\u{e9}"), r#""a\"b\\c\nd\u001bé""#);
    }
}
