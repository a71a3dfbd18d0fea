//! Records as messages of Kafka.

use std::{collections::BTreeMap, sync::Arc};

use rskafka::{chrono::DateTime, record::Record as Message};

use crate::sinks::record::Record;

/// A batch as messages, with the node as the key of each.
#[must_use]
pub fn messages(node: &str, batch: &[Arc<Record>]) -> Vec<Message> {
    batch.iter().map(|record| message(node, record)).collect()
}

fn message(node: &str, record: &Record) -> Message {
    let meta = &record.meta;
    let labels = meta.labels().into_iter().chain([("id", meta.id.as_str()), ("node", node)]);
    let headers: BTreeMap<_, _> =
        labels.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
    Message {
        key: Some(node.as_bytes().to_vec()),
        value: Some(record.json().as_bytes().to_vec()),
        headers,
        timestamp: DateTime::from_timestamp_millis(meta.at.as_millisecond()).unwrap_or_default(),
    }
}

/// Which of so many partitions a key belongs to: the one that Kafka's own clients choose
/// (`BuiltInPartitioner.partitionForKey`), so that whatever else is keyed by node is with it.
#[must_use]
pub fn partition(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// MurmurHash2 of 32 bits, as `org.apache.kafka.common.utils.Utils.murmur2` has it.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> R)).wrapping_mul(M)
    };
    let (chunks, rest) = data.as_chunks::<4>();
    // Kafka's keys are shorter than 4 GiB.
    let start = SEED ^ data.len() as u32;
    let mut hash = chunks
        .iter()
        .fold(start, |hash, chunk| hash.wrapping_mul(M) ^ mix(u32::from_le_bytes(*chunk)));
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::testing::{is_plain, records};

    #[test]
    fn the_key_is_the_node_and_no_name_is_in_a_header() {
        for (name, record) in records() {
            let message = message(name, &record);
            assert_eq!(message.key.as_deref(), Some(name.as_bytes()));
            assert!(is_plain(str::from_utf8(message.value.as_deref().unwrap()).unwrap()));
            let told = |header: &str| str::from_utf8(&message.headers[header]).unwrap();
            assert_eq!((message.headers.len(), told("node")), (6, name));
            assert!(
                ["id", "kind", "signal", "rule", "severity"].iter().all(|of| is_plain(told(of)))
            );
        }
    }
}
