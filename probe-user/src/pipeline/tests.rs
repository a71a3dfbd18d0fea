use std::{sync::mpsc::Receiver, time::Duration};

use probe_common::{
    fork::ForkRecord,
    netlink::NetlinkRecord,
    wire::{Header, kind},
};

use super::*;
use crate::{
    decode::as_bytes,
    findings::Severity,
    sinks::{Sinks, testing},
};

const SECOND: u64 = 1_000_000_000;

fn refused_clone(at: u64) -> Vec<u8> {
    let header = Header {
        kind: kind::FORK_FAILED,
        len: size_of::<ForkRecord>() as u16,
        ts_ns: at,
        cgroup_id: 77,
        ..Header::default()
    };
    let record = ForkRecord { header, ret: -libc::EAGAIN, ..ForkRecord::default() };
    as_bytes(&record).to_vec()
}

/// A pipeline without a kernel, a sink that keeps what it gets, and the metrics of both.
fn bench() -> (Pipeline, Sinks, Receiver<Finding>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (sinks, kept) = testing::keeping(false, &metrics);
    let config = Config::default();
    let pipeline =
        Pipeline::new(&config, Enricher::new(None, &config.enrich), Arc::clone(&metrics));
    (pipeline, sinks, kept, metrics)
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

#[test]
fn records_become_one_finding_that_resolves() {
    let (mut pipeline, sinks, kept, metrics) = bench();
    let outlets = &sinks.outlets;
    (1..=20).for_each(|n| pipeline.record(&refused_clone(n * SECOND / 10), outlets));
    pipeline.tick(3 * SECOND, outlets);
    let firing = "nodeprobe_findings_firing{rule=\"fork-failures\",severity=\"warning\"} 1";
    assert!(text(&metrics).contains(firing));
    pipeline.tick(200 * SECOND, outlets);
    sinks.finish(Duration::from_secs(60));

    let findings: Vec<_> = kept.iter().collect();
    let states: Vec<_> = findings.iter().map(|f| (f.state, f.severity, f.revision)).collect();
    let expected = [(State::Firing, Severity::Warning, 1), (State::Resolved, Severity::Warning, 2)];
    assert_eq!(states, expected);
    assert_eq!(findings[0].id, findings[1].id);
    assert_eq!(findings[0].subject.cgroup.as_ref().map(|cgroup| cgroup.id), Some(77));
    let text = text(&metrics);
    for series in [
        "nodeprobe_events_total{kind=\"failed\",signal=\"fork\"} 20",
        "nodeprobe_findings_total{rule=\"fork-failures\",severity=\"warning\"} 1",
        "nodeprobe_findings_firing{rule=\"fork-failures\",severity=\"warning\"} 0",
        "nodeprobe_sink_records_total{outcome=\"queued\",sink=\"test\"} 2",
    ] {
        assert!(text.contains(series), "{series} not in\n{text}");
    }
}

#[test]
fn garbage_is_counted_and_nothing_else() {
    let (mut pipeline, sinks, kept, metrics) = bench();
    for garbage in [&[][..], &[0xff; 300], &refused_clone(1)[..60]] {
        pipeline.record(garbage, &sinks.outlets);
    }
    pipeline.tick(SECOND, &sinks.outlets);
    sinks.finish(Duration::from_secs(60));
    assert_eq!(kept.iter().count(), 0);
    let text = text(&metrics);
    for (reason, count) in [("truncated", 1), ("length_mismatch", 2)] {
        let series = format!("nodeprobe_decode_errors_total{{reason=\"{reason}\"}} {count}");
        assert!(text.contains(&series), "{series} not in\n{text}");
    }
}

#[test]
fn what_was_there_before_is_counted_apart() {
    let (mut pipeline, sinks, _kept, metrics) = bench();
    let header = Header {
        kind: kind::NETLINK_OPEN,
        len: size_of::<NetlinkRecord>() as u16,
        ..Header::default()
    };
    let record = NetlinkRecord { header, ..NetlinkRecord::default() };
    pipeline.seed(as_bytes(&record), &sinks.outlets);
    pipeline.seed(&[0xff; 300], &sinks.outlets);
    let text = text(&metrics);
    for series in [
        "nodeprobe_seeded_total{signal=\"netlink\"} 1",
        "nodeprobe_events_total{kind=\"open\",signal=\"netlink\"} 0",
        "nodeprobe_decode_errors_total{reason=\"length_mismatch\"} 1",
    ] {
        assert!(text.contains(series), "{series} not in\n{text}");
    }
}
