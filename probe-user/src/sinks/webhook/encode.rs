//! `{"node": NAME, "records": [{"id": ID, "kind": "finding", "record": {...}}, ...]}`: each record as a
//! line of stdout has it, with an id that is the same when it is sent again.

use std::sync::Arc;

use serde_json::json;

use crate::sinks::record::Record;

/// The body of a request.
pub fn body(node: &str, batch: &[Arc<Record>]) -> Vec<u8> {
    let records: Vec<_> = batch.iter().map(|record| one(record)).collect();
    format!("{{\"node\":{},\"records\":[{}]}}", json!(node), records.join(",")).into()
}

fn one(record: &Record) -> String {
    let (id, kind) = (json!(record.meta.id), json!(record.meta.kind));
    // It is JSON already.
    format!("{{\"id\":{id},\"kind\":{kind},\"record\":{}}}", record.json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::testing::records;

    #[test]
    fn every_name_is_inside_a_string() {
        for (name, record) in records() {
            let body: serde_json::Value = serde_json::from_slice(&body(name, &[record])).unwrap();
            assert_eq!((&body["node"], body.as_object().unwrap().len()), (&json!(name), 2));
            let subject = &body["records"][0]["record"]["subject"];
            assert_eq!(subject["process"]["comm"], name);
            assert_eq!(subject["interface"]["name"], name);
        }
    }
}
