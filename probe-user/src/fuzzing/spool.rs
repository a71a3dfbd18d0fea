//! What a disk gives back of what was written to it.

use std::time::SystemTime;

use super::pipeline::append_frames;
use crate::sinks::spool::segment::{Place, head, read};

/// A segment; or, as no chance finds a checksum, the contents of its frames with a length before each.
pub fn segment(bytes: &[u8]) {
    check(bytes, 0);
    check(bytes, bytes.len() / 2);
    let _ = Place::of(bytes);
    let mut segment = head(SystemTime::UNIX_EPOCH);
    append_frames(&mut segment, bytes);
    check(&segment, 0);
}

fn check(bytes: &[u8], from: usize) {
    let contents = read(bytes, from);
    // Each byte is of one record or one damage, in their order.
    let ends: Vec<u64> = contents.records.iter().map(|found| found.end).collect();
    assert!(ends.is_sorted_by(|a, b| a < b));
    assert!(ends.last().is_none_or(|end| *end <= bytes.len() as u64));
    let mut told = 0;
    for damage in &contents.damage {
        assert!(damage.bytes > 0 && damage.at >= told);
        told = damage.at + damage.bytes;
        assert!(ends.iter().all(|end| *end <= damage.at || *end > told));
    }
    assert!(told <= bytes.len() as u64);
}
