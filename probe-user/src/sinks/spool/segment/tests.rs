use super::*;
use crate::{
    sinks::testing::{numbers, record},
    text::testing::records,
};

const MADE: u64 = 1_700_000_000;

/// A segment of so many records, and where each ends.
fn segment(records: usize) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = head(UNIX_EPOCH + Duration::from_secs(MADE));
    let mut ends = Vec::new();
    for number in 0..records {
        assert!(append(&mut bytes, &record(number, 20)));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn found(contents: &Contents) -> Vec<usize> {
    numbers(contents.records.iter().map(|found| &found.record))
}

#[test]
fn a_whole_segment_reads_back() {
    let (bytes, ends) = segment(3);
    let contents = read(&bytes, 0);
    assert_eq!(contents.made, Some(UNIX_EPOCH + Duration::from_secs(MADE)));
    assert_eq!((found(&contents), contents.damage.len()), (vec![0, 1, 2], 0));
    let mut more = bytes.clone();
    let sent = record(3, 20);
    append(&mut more, &sent);
    let got = read(&more, 0).records.pop().unwrap().record;
    assert_eq!((&got.meta, got.json()), (&sent.meta, sent.json()));
    let told: Vec<_> = contents.records.iter().map(|found| found.end as usize).collect();
    assert_eq!(told, ends);
    assert_eq!(found(&read(&bytes, ends[0])), [1, 2], "from a place that a cursor holds");
    assert_eq!(found(&read(&bytes, bytes.len() + 9)), [0; 0]);
}

#[test]
fn every_name_reads_back() {
    for (name, sent) in records() {
        let mut bytes = head(UNIX_EPOCH);
        assert!(append(&mut bytes, &sent));
        let mut contents = read(&bytes, 0);
        let got = contents.records.pop().unwrap().record;
        assert_eq!((&got.meta, got.json()), (&sent.meta, sent.json()), "{name:?}");
        assert!(contents.records.is_empty() && contents.damage.is_empty(), "{name:?}");
    }
}

#[test]
fn a_segment_cut_at_any_byte_gives_what_is_whole() {
    let (bytes, ends) = segment(3);
    for length in 0..bytes.len() {
        let contents = read(&bytes[..length], 0);
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(found(&contents), (0..whole).collect::<Vec<_>>(), "cut at {length}");
        assert!(contents.damage.iter().all(|damage| damage.how == How::CutShort), "at {length}");
        let told: u64 = contents.damage.iter().map(|damage| damage.bytes).sum();
        let head = head(UNIX_EPOCH).len();
        let at = ends.iter().copied().chain([0, head]).filter(|end| *end <= length).max();
        assert_eq!(told as usize, length - at.unwrap(), "cut at {length}");
    }
}

#[test]
fn a_flipped_byte_costs_the_record_it_is_in() {
    let (bytes, ends) = segment(4);
    let head = head(UNIX_EPOCH).len();
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x41;
        let contents = read(&bytes, 0);
        let hit = (at >= head).then(|| ends.iter().filter(|end| **end <= at).count());
        let rest: Vec<_> = (0..4).filter(|number| Some(*number) != hit).collect();
        assert_eq!(found(&contents), rest, "flipped at {at}");
        assert_eq!(contents.damage.len(), 1, "flipped at {at}");
        let begins = hit.map_or(0, |hit| if hit == 0 { head } else { ends[hit - 1] });
        assert_eq!(contents.damage[0].at as usize, begins, "flipped at {at}");
    }
}

#[test]
fn what_another_format_wrote_is_left_alone() {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, |to| to.extend(b"nodeprobe spool 2\n12345678"));
    append(&mut bytes, &record(1, 2));
    let contents = read(&bytes, 0);
    assert!(contents.foreign && contents.records.is_empty());
}

#[test]
fn a_whole_frame_that_is_no_record_is_skipped() {
    let (mut bytes, ends) = segment(1);
    frame::append(&mut bytes, |to| to.extend(b"{}\n{}"));
    append(&mut bytes, &record(1, 2));
    let contents = read(&bytes, 0);
    assert_eq!(found(&contents), [0, 1]);
    let [Damage { at, how: How::Corrupt, .. }] = contents.damage[..] else { panic!() };
    assert_eq!(at as usize, ends[0]);
}

#[test]
fn lengths_upon_lengths_end_the_segment_and_not_the_day() {
    // Each byte begins a frame that could be whole.
    let bytes = [0xff, 0xff, 0x07, 0x00].repeat(MOST / 4);
    let contents = read(&bytes, 0);
    let damage = Damage { at: 0, bytes: bytes.len() as u64, how: How::Corrupt };
    assert_eq!((contents.records.len(), contents.damage), (0, vec![damage]));
}

#[test]
fn zeros_at_the_end_are_a_loss_of_power() {
    let (mut bytes, _) = segment(2);
    bytes.extend([0; 4096]);
    let contents = read(&bytes, 0);
    assert_eq!((found(&contents), contents.damage[0].how), (vec![0, 1], How::CutShort));
}

#[test]
fn a_cursor_is_whole_or_none() {
    let place = Place { segment: 3, end: 4_000 };
    let bytes = place.bytes();
    assert_eq!(Place::of(&bytes), Some(place));
    for length in 0..bytes.len() {
        assert_eq!(Place::of(&bytes[..length]), None);
    }
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        Place::of(&bytes)
    };
    assert!((0..bytes.len()).all(|at| flipped(at).is_none()));
}
