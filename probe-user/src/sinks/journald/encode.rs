//! A record as an entry of the journal, in its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use crate::{
    findings::State,
    sinks::{priority::priority, record::Record},
    text::plain,
};

/// `MESSAGE_ID` of a finding that holds. These never change: catalogs and filters go by them.
pub const FIRING: &str = "d053bcb400844dd0a2a6820b5f77a64a";
/// `MESSAGE_ID` of a finding that no longer holds.
pub const RESOLVED: &str = "fa8d358cb63041a9ba152876b68c810d";
/// `MESSAGE_ID` of an event.
pub const EVENT: &str = "7274783104c84c0b87f58eba3985e4c0";

/// `SYSLOG_FACILITY`: of a daemon.
const DAEMON: &str = "3";

/// The entry of a record of `node`, with all of the record in a field if `json`.
#[must_use]
pub fn entry(record: &Record, node: &str, json: bool) -> Vec<u8> {
    let meta = &record.meta;
    let message_id = match meta.state {
        Some(State::Firing) => FIRING,
        Some(State::Resolved) => RESOLVED,
        None => EVENT,
    };
    let mut entry = Vec::with_capacity(1_024);
    let mut field = |name: &str, value: &str| add(&mut entry, name, value);
    // journalctl shows a message with control characters in it as a blob.
    field("MESSAGE", &plain(&meta.summary));
    field("MESSAGE_ID", message_id);
    field("PRIORITY", &priority(meta).to_string());
    field("SYSLOG_FACILITY", DAEMON);
    field("SYSLOG_IDENTIFIER", "nodeprobe");
    field("NODEPROBE_ID", &meta.id);
    field("NODEPROBE_KIND", meta.kind.name());
    field("NODEPROBE_SIGNAL", &meta.signal);
    field("NODEPROBE_RULE", &meta.rule);
    field("NODEPROBE_SEVERITY", meta.severity.name());
    if let Some(state) = meta.state {
        field("NODEPROBE_STATE", state.name());
    }
    field("NODEPROBE_AT", &format!("{:.6}", meta.at));
    field("NODEPROBE_NODE", node);
    if json {
        field("NODEPROBE_JSON", record.json());
    }
    entry
}

/// Adds a field: on a line, or with its length before it where a line would not hold it.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        findings::{Severity, testing::finding},
        sinks::record::Kind,
        text::testing::{is_plain, records},
    };

    /// The fields of an entry, read as journald does.
    pub fn fields(mut entry: &[u8]) -> HashMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.into()).unwrap();
        let mut fields = HashMap::new();
        while !entry.is_empty() {
            let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
            let line = &entry[..end];
            let (name, value) = match line.iter().position(|byte| *byte == b'=') {
                Some(equals) => (&line[..equals], &line[equals + 1..]),
                None => {
                    let from = end + 9;
                    let length = u64::from_le_bytes(entry[end + 1..from].try_into().unwrap());
                    (line, &entry[from..from + length as usize])
                }
            };
            entry = &entry[value.as_ptr() as usize + value.len() + 1 - entry.as_ptr() as usize..];
            assert_eq!(fields.insert(text(name), text(value)), None);
        }
        fields
    }

    #[test]
    fn a_finding_is_an_entry() {
        let mut finding = finding();
        finding.last_seen = "2026-11-21T18:54:21.1234567Z".parse().unwrap();
        let record = Record::of_finding(finding);
        let fields = fields(&entry(&record, "node-1", true));
        let of = |name: &str| fields[name].as_str();
        assert_eq!((of("MESSAGE"), of("PRIORITY")), (record.meta.summary.as_str(), "4"));
        assert_eq!((of("MESSAGE_ID"), of("SYSLOG_IDENTIFIER")), (FIRING, "nodeprobe"));
        assert_eq!((of("NODEPROBE_ID"), of("NODEPROBE_JSON")), (&*record.meta.id, record.json()));
        assert_eq!((of("NODEPROBE_STATE"), of("NODEPROBE_KIND")), ("firing", "finding"));
        assert_eq!((of("NODEPROBE_RULE"), of("NODEPROBE_SIGNAL")), ("fork-failures", "fork"));
        assert_eq!(of("NODEPROBE_AT"), "2026-11-21T18:54:21.123456Z");
        assert_eq!((of("NODEPROBE_NODE"), fields.len()), ("node-1", 14));
        // Fields of the trusted kind are journald's alone.
        assert!(fields.keys().all(|name| !name.starts_with('_')));
    }

    #[test]
    fn each_state_has_a_message_id_of_its_own() {
        let of = |state, severity, kind| {
            let mut meta = Record::of_finding(finding()).meta;
            (meta.state, meta.severity, meta.kind) = (state, severity, kind);
            let fields = fields(&entry(&Record::of_json(meta, "{}".into()), "", false));
            assert!(!fields.contains_key("NODEPROBE_JSON"));
            (fields["MESSAGE_ID"].clone(), fields["PRIORITY"].clone())
        };
        let is = |id: &str, priority: &str| (id.to_owned(), priority.to_owned());
        let (warning, critical) = (Severity::Warning, Severity::Critical);
        assert_eq!(of(Some(State::Firing), critical, Kind::Finding), is(FIRING, "2"));
        assert_eq!(of(Some(State::Resolved), warning, Kind::Finding), is(RESOLVED, "5"));
        assert_eq!(of(None, Severity::Info, Kind::Event), is(EVENT, "6"));
    }

    #[test]
    fn no_name_makes_a_field() {
        for (name, record) in records() {
            let fields = fields(&entry(&record, name, true));
            assert_eq!((fields.len(), fields["NODEPROBE_NODE"].as_str()), (14, name));
            assert_eq!(
                (fields["PRIORITY"].as_str(), &*fields["NODEPROBE_JSON"]),
                ("4", record.json())
            );
            assert!(is_plain(&fields["MESSAGE"]), "{:?}", fields["MESSAGE"]);
        }
    }

    #[test]
    fn hostile_text_makes_no_field_of_its_own() {
        let mut meta = Record::of_finding(finding()).meta;
        let hostile = "a\nPRIORITY=0\n_UID=0\0\x1b[2J\u{9b}]\"=";
        meta.summary = hostile.into();
        meta.rule = hostile.into();
        let fields = fields(&entry(&Record::of_json(meta, hostile.into()), "n\n", true));
        assert_eq!((fields["PRIORITY"].as_str(), fields["NODEPROBE_NODE"].as_str()), ("4", "n\n"));
        assert_eq!(fields["NODEPROBE_RULE"], hostile);
        assert_eq!(fields["NODEPROBE_JSON"], hostile);
        assert!(!fields["MESSAGE"].chars().any(char::is_control));
        assert!(!fields.contains_key("_UID"));
    }
}
