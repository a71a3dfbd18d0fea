use std::sync::{Arc, mpsc::Receiver};

use serde_json::{Value, json};

use super::{sums::A_TICK, *};
use crate::{
    config::span::Span,
    event::{Body, Comm, Context},
    metrics::Metrics,
    signals::{
        fork::{Cause, ForkFailure},
        rtnl::{Party, RtnlWaits, Wait},
    },
    sinks::{
        Answer, Sinks, call,
        filter::Filter,
        queue::QUEUE,
        testing::{self, PART},
    },
    supervise::Supervisor,
};
use probe_common::wire::kind;

const SECOND: u64 = 1_000_000_000;

fn refused(pid: u32) -> Event {
    let context = Context {
        at: 5 * SECOND,
        pid,
        tid: pid + 1,
        cgroup: Some(77),
        netns: None,
        comm: Comm::of("runc"),
    };
    let body = Body::Fork(ForkFailure { errno: 11, flags: None, cause: Cause::Unresolved });
    Event { context, sum: None, body }
}

fn clock() -> Clock {
    Clock::at(0, 1_000_000_000_000_000)
}

/// A sink with a filter that keeps the JSON of what it gets.
fn keeping(filter: Filter) -> (Sinks, Receiver<Value>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (sinks, kept) = testing::telling(filter, false, &metrics);
    (sinks, kept, metrics)
}

fn wanting(events: Events) -> Filter {
    Filter { events, ..Filter::default() }
}

fn ended(sinks: Sinks, kept: &Receiver<Value>) -> Vec<Value> {
    sinks.finish(std::time::Duration::from_secs(60));
    kept.try_iter().collect()
}

#[test]
fn each_event_is_told_with_its_typed_body() {
    let (sinks, kept, _) = keeping(wanting(Events::Raw));
    let mut stream = Stream::new(&EventsConfig::default());
    stream.take(kind::FORK_FAILED, &refused(42), clock(), &sinks.outlets);
    let party = Party {
        pid: 7,
        comm: Comm::of("ip"),
        parent: Some((6, Comm::of("sh"))),
        ..Party::default()
    };
    let wait = Wait { waited_ns: 9, waiter: party, holder: None };
    let body = Body::Rtnl(RtnlWaits::One(wait));
    let event = Event { context: Context::default(), sum: None, body };
    stream.take(kind::RTNL_WAIT, &event, clock(), &sinks.outlets);
    stream.tick(SECOND, clock(), &sinks.outlets);
    stream.finish(clock(), &sinks.outlets);
    let told = ended(sinks, &kept);
    assert_eq!(told.len(), 2, "no sums for one that wants each");
    assert_ne!(told[0]["id"], told[1]["id"]);
    let mut first = told[0].clone();
    first.as_object_mut().unwrap().remove("id");
    let expected = json!({
        "time": "2001-09-09T01:46:45Z", "signal": "fork", "kind": "failed", "count": 1,
        "pid": 42, "tid": 43, "comm": "runc", "cgroup_id": 77,
        "fork": { "errno": 11, "flags": null, "cause": { "kind": "unresolved" } },
    });
    assert_eq!(first, expected);
    assert!(told[1].get("pid").is_none(), "who it was is not known");
    assert_eq!(told[1]["rtnl"]["waiter"]["parent"], json!({ "pid": 6, "comm": "sh" }));
}

#[test]
fn sums_are_told_when_their_interval_is_over() {
    let (sinks, kept, _) = keeping(wanting(Events::Summed));
    let mut stream = Stream::new(&EventsConfig::default());
    stream.tick(0, clock(), &sinks.outlets);
    (0..5).for_each(|_| stream.take(kind::FORK_FAILED, &refused(42), clock(), &sinks.outlets));
    let many = Event { sum: Some(100), ..refused(42) };
    stream.take(kind::FORK_FAILED, &many, clock(), &sinks.outlets);
    stream.take(kind::FORK_FAILED, &refused(43), clock(), &sinks.outlets);
    stream.tick(9 * SECOND, clock(), &sinks.outlets);
    stream.tick(10 * SECOND, clock(), &sinks.outlets);
    stream.tick(30 * SECOND, clock(), &sinks.outlets);
    let mut told = ended(sinks, &kept);
    told.sort_by_key(|sum| sum["pid"].as_u64());
    assert_eq!(told.len(), 2);
    let of =
        |index: usize| [&told[index]["pid"], &told[index]["count"]].map(|n| n.as_u64().unwrap());
    assert_eq!([of(0), of(1)], [[42, 105], [43, 1]]);
    assert_eq!((&told[0]["interval_seconds"], &told[0]["kind"]), (&json!(10), &json!("failed")));
    assert!(told[0].get("fork").is_none() && told[0].get("tid").is_none());
}

#[test]
fn sums_are_bounded_and_no_event_is_missing_from_them() {
    let (sinks, kept, metrics) = keeping(wanting(Events::Summed));
    let config = EventsConfig { interval: Span::seconds(2) };
    let mut stream = Stream::new(&config);
    stream.tick(0, clock(), &sinks.outlets);
    let most = u32::try_from(2 * A_TICK).unwrap();
    for pid in 1..=most + 100 {
        stream.take(kind::FORK_FAILED, &refused(pid), clock(), &sinks.outlets);
    }
    stream.tick(2 * SECOND, clock(), &sinks.outlets);
    let first = metrics.sink_records.with_label_values(&["test", "queued"]).get();
    assert_eq!(first, A_TICK as u64, "a queue is not filled at once");
    (3..5).for_each(|second| stream.tick(second * SECOND, clock(), &sinks.outlets));
    let told = ended(sinks, &kept);
    assert_eq!(told.len(), 2 * A_TICK + 1);
    let sum: u64 = told.iter().map(|sum| sum["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, u64::from(most) + 100);
    let others: Vec<_> = told.iter().filter(|sum| sum["other"] == true).collect();
    assert_eq!((others.len(), &others[0]["count"]), (1, &json!(100)));
}

#[test]
fn events_leave_room_for_findings_and_what_has_none_is_counted() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut supervisor = Supervisor::new(Arc::clone(&metrics));
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let plan = call::plan("test", PART, move |_| {
        let _ = stuck.recv();
        Answer::taken()
    });
    let plan = crate::sinks::Plan { filter: wanting(Events::Raw), ..plan };
    let mut sinks = Sinks::default();
    sinks.start(plan, &metrics, &mut supervisor).unwrap();
    let mut stream = Stream::new(&EventsConfig::default());
    for _ in 0..4 * QUEUE {
        stream.take(kind::FORK_FAILED, &refused(1), clock(), &sinks.outlets);
    }
    let count = |outcome| metrics.sink_records.with_label_values(&["test", outcome]).get();
    assert_eq!(count("queued") + count("events_dropped"), 4 * QUEUE as u64);
    assert!(count("queued") <= QUEUE as u64 / 2 + 1, "{}", count("queued"));
    (0..QUEUE / 2 - 1).for_each(|_| sinks.outlets.finding(crate::findings::testing::finding()));
    assert_eq!(count("dropped"), 0);
    drop(release);
    sinks.finish(std::time::Duration::from_secs(60));
}

#[test]
fn a_filter_of_signals_is_one_of_events_too() {
    let of_tc = Filter { signals: vec!["tc".into()], ..wanting(Events::Raw) };
    let (sinks, kept, _) = keeping(of_tc);
    let mut stream = Stream::new(&EventsConfig::default());
    stream.take(kind::FORK_FAILED, &refused(1), clock(), &sinks.outlets);
    assert!(ended(sinks, &kept).is_empty());
}
