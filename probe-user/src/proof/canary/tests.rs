use probe_common::{fork::ForkRecord, wire::Header};

use super::*;
use crate::{
    config::Config, decode::as_bytes, enrich::Enricher, event::Comm, pipeline::Pipeline,
    sinks::Outlets,
};

const NAME: &str = "canary-000001";

fn context(tid: u32, comm: &str) -> Context {
    Context { pid: 40, tid, comm: Comm::of(comm), ..Context::default() }
}

fn bench(within: u64) -> (Canary, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    (Canary::new(NAME, [true, true, false], Span::seconds(within), &metrics), metrics)
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

#[track_caller]
fn has(metrics: &Metrics, series: &str) {
    let text = text(metrics);
    assert!(text.contains(series), "{series} not in\n{text}");
}

#[test]
fn only_what_its_thread_did_is_taken() {
    let (mut canary, metrics) = bench(10);
    assert!(!canary.takes(kind::TC_REQUEST, &context(41, "tc")));
    assert!(canary.takes(kind::TC_REQUEST, &context(41, NAME)));
    assert!(!canary.takes(kind::TC_REQUEST, &context(42, "")));
    has(&metrics, "nodeprobe_canary_events_total{signal=\"tc\"} 1");
    has(&metrics, "nodeprobe_canary_up{signal=\"tc\"} 1");
    has(&metrics, "nodeprobe_canary_last_success_timestamp_seconds{signal=\"fork\"} 0");
}

#[test]
fn a_socket_comes_through_when_it_was_seen_opening_and_closing() {
    let (mut canary, metrics) = bench(10);
    assert!(canary.takes(kind::NETLINK_OPEN, &context(41, NAME)));
    has(&metrics, "nodeprobe_canary_up{signal=\"netlink\"} 0");
    assert!(canary.takes(kind::NETLINK_CLOSE, &context(41, "")));
    has(&metrics, "nodeprobe_canary_up{signal=\"netlink\"} 1");
    has(&metrics, "nodeprobe_canary_events_total{signal=\"netlink\"} 2");
}

#[test]
fn one_that_does_not_come_in_time_is_a_failure_until_the_next_does() {
    let (mut canary, metrics) = bench(0);
    canary.shared.act();
    thread::sleep(Duration::from_millis(1));
    canary.tick();
    canary.tick();
    has(&metrics, "nodeprobe_canary_failures_total{signal=\"tc\"} 1");
    has(&metrics, "nodeprobe_canary_failures_total{signal=\"fork\"} 1");
    has(&metrics, "nodeprobe_canary_failures_total{signal=\"netlink\"} 0");
    canary.shared.act();
    canary.takes(kind::FORK_REJECTED, &context(41, NAME));
    assert_eq!(canary.shared.flights[FORK].sent.load(Relaxed), 0);
    assert!(!canary.shared.flights[FORK].failing.load(Relaxed));
    has(&metrics, "nodeprobe_canary_up{signal=\"fork\"} 1");
}

#[test]
fn one_in_flight_within_the_limit_is_no_failure() {
    let (mut canary, metrics) = bench(3_600);
    canary.shared.act();
    canary.tick();
    has(&metrics, "nodeprobe_canary_failures_total{signal=\"tc\"} 0");
}

#[test]
fn its_events_are_counted_apart() {
    let (canary, metrics) = bench(10);
    let config = Config::default();
    let enricher = Enricher::new(None, &config.enrich);
    let mut pipeline = Pipeline::new(&config, enricher, Arc::clone(&metrics));
    pipeline.watch_canary(Some(canary));
    let refused = |name| {
        let header = Header {
            kind: kind::FORK_REJECTED,
            len: size_of::<ForkRecord>() as u16,
            tgid: 40,
            pid: 41,
            comm: Comm::of(name).0,
            ..Header::default()
        };
        ForkRecord { header, ret: -libc::EINVAL, ..ForkRecord::default() }
    };
    pipeline.record(as_bytes(&refused("runc")), &Outlets::NONE);
    pipeline.record(as_bytes(&refused(NAME)), &Outlets::NONE);
    has(&metrics, "nodeprobe_events_total{kind=\"rejected\",signal=\"fork\"} 1");
    has(&metrics, "nodeprobe_canary_events_total{signal=\"fork\"} 1");
}
