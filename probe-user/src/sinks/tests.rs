use std::sync::mpsc::channel;

use super::{queue::QUEUE, testing::PART, *};
use crate::findings::testing::finding;

fn count(metrics: &Metrics, outcome: &str) -> u64 {
    metrics.sink_records.with_label_values(&["test", outcome]).get()
}

/// A sink that does this with each record.
fn sinks(
    metrics: &Arc<Metrics>,
    work: impl FnMut(&record::Record) -> Answer + Send + 'static,
) -> Sinks {
    let mut sinks = Sinks::default();
    let mut supervisor = Supervisor::new(Arc::clone(metrics));
    sinks.start(call::plan("test", PART, work), metrics, &mut supervisor).unwrap();
    sinks
}

fn ended(sinks: Sinks, patience: Duration) -> Result<(), SinkError> {
    let mut ended = sinks.finish(patience);
    assert_eq!(ended.len(), 1);
    ended.remove(0).how
}

#[test]
fn a_sink_gets_all_that_was_queued_before_the_end() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let (sinks, all) = testing::keeping(false, &metrics);
    (0..100).for_each(|_| sinks.outlets.finding(finding()));
    ended(sinks, Duration::from_secs(60)).unwrap();
    assert_eq!(all.iter().count(), 100);
    assert_eq!((count(&metrics, "queued"), count(&metrics, "written")), (100, 100));
}

#[test]
fn a_stuck_sink_costs_counted_findings_and_no_time() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let ((release, stuck), (begin, begun)) = (channel::<()>(), channel());
    let sinks = sinks(&metrics, move |_| {
        let _ = begin.send(());
        let _ = stuck.recv();
        Answer::taken()
    });
    sinks.outlets.finding(finding());
    begun.recv().unwrap();
    // One is in its hands.
    (0..QUEUE + 7).for_each(|_| sinks.outlets.finding(finding()));
    let queued = (QUEUE + 1) as u64;
    assert_eq!((count(&metrics, "queued"), count(&metrics, "dropped")), (queued, 7));
    let error = ended(sinks, Duration::ZERO).expect_err("it is stuck");
    assert_eq!(error, SinkError::Stuck(Duration::ZERO));
    drop(release);
}

#[test]
fn the_error_of_a_sink_is_told() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let sinks = sinks(&metrics, |_| Answer::Over("broken pipe".into()));
    sinks.outlets.finding(finding());
    let error = ended(sinks, Duration::from_secs(60)).expect_err("it failed");
    assert_eq!(error.to_string(), "broken pipe");
}

#[test]
fn what_fails_is_tried_again_and_what_is_refused_is_not() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut answers = [
        Answer::later(backend::Reason::Busy, "wait"),
        Answer::taken(),
        Answer::Refused("never".into()),
        Answer::later(backend::Reason::Server, "wait"),
        Answer::later(backend::Reason::Server, "wait"),
    ]
    .into_iter();
    let sinks = sinks(&metrics, move |_| answers.next().unwrap_or_else(Answer::taken));
    (0..3).for_each(|_| sinks.outlets.finding(finding()));
    ended(sinks, Duration::from_secs(60)).unwrap();
    assert_eq!((count(&metrics, "written"), count(&metrics, "refused")), (2, 1));
    let failures = |reason| metrics.sink_failures.with_label_values(&["test", reason]).get();
    assert_eq!((failures("busy"), failures("server")), (1, 2));
}
