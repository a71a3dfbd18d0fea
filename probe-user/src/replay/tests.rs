use std::{fs, io::Cursor, sync::mpsc::Receiver};

use probe_common::{
    fork::ForkRecord,
    wire::{Header, kind},
};

use super::*;
use crate::{
    decode::as_bytes,
    enrich::Enricher,
    event::{Context, Event, Fact, FdRound, ProcessFds},
    findings::Finding,
    sinks::{
        filter::{Events, Filter},
        testing,
    },
    source::capture::{Moment, Recorder},
};

fn refused_clone(n: u64) -> Vec<u8> {
    let header = Header {
        kind: kind::FORK_FAILED,
        len: size_of::<ForkRecord>() as u16,
        ts_ns: n * SECOND / 10,
        tgid: 7,
        cgroup_id: 77,
        ..Header::default()
    };
    let record = ForkRecord { header, ret: -libc::EAGAIN, ..ForkRecord::default() };
    as_bytes(&record).to_vec()
}

fn polled(at: BootNs, fact: Fact) -> Event {
    Event::polled(Context { at, pid: 9, ..Context::default() }, fact)
}

/// Of each finding: id, revision, state, times.
type Findings = Vec<(String, u32, String, String)>;

fn kept(findings: &Receiver<Finding>) -> Findings {
    let lines = findings.iter().map(|finding| {
        let times = format!("{} {}", finding.first_seen, finding.last_seen);
        (finding.id.clone(), finding.revision, format!("{:?}", finding.state), times)
    });
    lines.collect()
}

/// An incident as an agent lives and writes it: what it found, and the file.
fn live(limit: u64) -> (Findings, Vec<u8>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("capture");
    let config = Config::default();
    let mut preamble = Preamble::of_this_node(Vec::new());
    preamble.kernel = "6.1.0".into();
    let mut supervisor = Supervisor::new(Arc::clone(&metrics));
    let mut start =
        || Recorder::start(&path, limit, &preamble, Arc::clone(&metrics), &mut supervisor);
    let recorder = start().unwrap();
    assert!(start().is_err(), "it is there");
    let enricher = Enricher::new(None, &config.enrich);
    let mut pipeline =
        Pipeline::new(&config, enricher, Arc::clone(&metrics)).with_recorder(Some(recorder));
    let (sinks, findings) = testing::keeping(false, &metrics);
    let outlets = &sinks.outlets;
    pipeline.tick(0, outlets);
    (1..=20).for_each(|n| pipeline.record(&refused_clone(n), outlets));
    let fds = ProcessFds { open: 5_000, ..ProcessFds::default() };
    pipeline.fact(&polled(SECOND, Fact::ProcessFds(fds)), outlets);
    pipeline.fact(&polled(SECOND, Fact::FdRound(FdRound::default())), outlets);
    pipeline.record(b"garbage", outlets);
    (3..200).for_each(|second| pipeline.tick(second * SECOND, outlets));
    drop(pipeline);
    sinks.finish(LAST_WORDS);
    (kept(&findings), fs::read(path).unwrap(), metrics)
}

fn replayed(bytes: &[u8]) -> (Findings, Tally, Result<(), CaptureError>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (sinks, findings) = testing::keeping(true, &metrics);
    let mut tally = Tally::default();
    let played =
        play(&mut Cursor::new(bytes), &Config::default(), &metrics, &sinks.outlets, &mut tally);
    sinks.finish(LAST_WORDS);
    (kept(&findings), tally, played)
}

fn captured(metrics: &Metrics, outcome: &str) -> u64 {
    let series = format!("nodeprobe_capture_entries_total{{outcome=\"{outcome}\"}} ");
    let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
    text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

#[test]
fn a_replay_finds_what_the_agent_found() {
    let (found, file, metrics) = live(1 << 20);
    assert_eq!(found.len(), 2, "fired and resolved: {found:?}");
    let (again, tally, played) = replayed(&file);
    played.unwrap();
    let without_times = |all: &Findings| {
        all.iter().map(|(id, n, state, _)| (id.clone(), *n, state.clone())).collect::<Vec<_>>()
    };
    assert_eq!(without_times(&again), without_times(&found));
    assert_eq!((tally.records, tally.seeds, tally.facts, tally.lost), (21, 0, 2, 0));
    assert_eq!(tally.ended, Some(Ended::Said(End::Agent)));
    assert_eq!(captured(&metrics, "written"), 1 + 21 + 2 + 197);
    assert_eq!(tally.lines().len(), 1, "{:?}", tally.lines());
    let (twice, ..) = replayed(&file);
    assert_eq!(again, twice, "times and all");
}

#[test]
fn a_full_file_says_so_and_the_agent_goes_on() {
    let (found, file, metrics) = live(2_000);
    assert_eq!(found.len(), 2);
    assert!(file.len() <= 2_000);
    let (_, tally, played) = replayed(&file);
    played.unwrap();
    assert_eq!(tally.ended, Some(Ended::Said(End::Limit)));
    assert!(captured(&metrics, "over_limit") > 100);
    assert_eq!(captured(&metrics, "failed") + captured(&metrics, "dropped"), 0);
}

#[test]
fn a_file_may_end_anywhere() {
    let (_, file, _) = live(1 << 20);
    for length in (0..file.len()).step_by(97) {
        let (_, tally, played) = replayed(&file[..length]);
        match played {
            Ok(()) => assert_ne!(tally.ended, Some(Ended::Said(End::Agent)), "{length}"),
            Err(error) => assert!(tally.preamble.nodeprobe.is_empty(), "{length}: {error}"),
        }
    }
}

#[test]
fn damage_is_told_with_its_place() {
    let (_, file, _) = live(1 << 20);
    for place in (file.len() / 2..file.len()).step_by(97) {
        let mut file = file.clone();
        file[place] ^= 0x10;
        let (_, tally, played) = replayed(&file);
        match played {
            Err(CaptureError::Damaged { at, .. }) => {
                assert!((place - 200..=place).contains(&usize::try_from(at).unwrap()));
                assert_eq!(tally.ended, None);
            }
            // A length that leads beyond the end.
            Ok(()) => assert_eq!(tally.ended, Some(Ended::InAnEntry)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn other_files_are_refused_in_words() {
    let (_, file, _) = live(1 << 20);
    let error = |bytes: &[u8]| replayed(bytes).2.unwrap_err().to_string();
    assert!(error(b"").contains("is no capture"));
    assert!(error(b"hello, world, is this a capture?").contains("is no capture"));
    let mut newer = file.clone();
    newer[8] = 9;
    assert!(error(&newer).contains("version 9"), "{}", error(&newer));
}

#[test]
fn lost_entries_are_counted_where_they_belong() {
    let moment = Moment::now(0);
    let entries = [Entry::Tick(moment), Entry::Lost(5), Entry::Record(b"x"), Entry::Lost(2)];
    let mut tally = Tally::default();
    entries.iter().for_each(|entry| tally.count(entry));
    assert_eq!((tally.lost, tally.records), (7, 1));
}

#[test]
fn a_sink_that_wants_events_gets_all_that_were_recorded() {
    let (_, bytes, _) = live(1 << 20);
    for (events, expected) in [(Events::Raw, 20), (Events::Summed, 1), (Events::None, 0)] {
        let metrics = Arc::new(Metrics::new().unwrap());
        let filter = Filter { findings: false, events, ..Filter::default() };
        let (sinks, told) = testing::telling(filter, true, &metrics);
        let mut capture = Cursor::new(&bytes);
        let config = Config::default();
        play(&mut capture, &config, &metrics, &sinks.outlets, &mut Tally::default()).unwrap();
        sinks.finish(LAST_WORDS);
        let told: Vec<_> = told.iter().collect();
        assert_eq!(told.len(), expected, "{events:?}");
        let events: u64 = told.iter().map(|one| one["count"].as_u64().unwrap()).sum();
        assert!(told.is_empty() || events == 20, "{events}");
        assert!(told.iter().all(|one| one["kind"] == "failed" && one["pid"] == 7));
    }
}
