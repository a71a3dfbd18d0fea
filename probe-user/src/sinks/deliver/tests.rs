//! The loop, with backends that do as they are told, and time that passes when nobody has work.

use std::{collections::BTreeSet, future::pending, sync::Mutex};

use tempfile::TempDir;

use super::*;
use crate::{
    config::spool::SinkSpoolConfig,
    metrics::Metrics,
    sinks::{
        backend::{Sending, Trouble, Verdict},
        filter::Filter,
        queue::{Outlet, QUEUE, queue},
        spool::{Spool, Teller},
        store::Memory,
        testing::{numbers, record},
    },
};

mod due;
mod partial;

const SECOND: Duration = Duration::from_secs(1);

const POLICY: Policy = Policy {
    most: Most { records: 16, bytes: usize::MAX },
    linger: Duration::ZERO,
    timeout: Duration::from_secs(30),
    first_pause: SECOND,
    longest_pause: Duration::from_secs(8),
    last_words: Duration::from_secs(4),
};

/// What a backend does with a batch.
enum Does {
    Answers(Answer),
    AnswersAfter(Duration, Answer),
    Hangs,
}
use Does::{Answers, AnswersAfter, Hangs};

/// A batch as the backend saw it: when, and the numbers of its records.
type Sent = Arc<Mutex<Vec<(Instant, Vec<usize>)>>>;

struct Scripted<F> {
    does: F,
    sent: Sent,
}

impl<F: FnMut(&[usize]) -> Does + Send> Backend for Scripted<F> {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        let numbers = numbers(batch);
        let does = (self.does)(&numbers);
        self.sent.lock().unwrap().push((Instant::now(), numbers));
        Box::pin(async move {
            match does {
                Answers(answer) => answer,
                AnswersAfter(time, answer) => {
                    tokio::time::sleep(time).await;
                    answer
                }
                Hangs => pending().await,
            }
        })
    }
}

/// A sink, its near end, and what its backend saw.
struct Bench {
    outlet: Outlet,
    delivery: Delivery,
    sent: Sent,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn new(does: impl FnMut(&[usize]) -> Does + Send + 'static) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (outlet, inlet) = queue("test", Filter::default(), false, &metrics);
        let sent = Sent::default();
        let backend = Box::new(Scripted { does, sent: Arc::clone(&sent) });
        let store = Box::new(Memory::new(POLICY.most));
        let dead = Dead::new("test", None, &metrics);
        let delivery = Delivery { backend, store, dead, policy: POLICY, inlet };
        Self { outlet, delivery, sent, metrics }
    }

    fn spooled(mut self, dir: &TempDir) -> Self {
        self.delivery.store = Box::new(spool(dir, &self.metrics));
        self
    }

    /// Hands these over and closes the queue; how it ends, and the batches the backend saw.
    async fn play(self, records: usize) -> (io::Result<()>, Vec<Vec<usize>>, Arc<Metrics>) {
        (0..records).for_each(|number| self.outlet.send(&record(number, 10)));
        drop(self.outlet);
        let ended = self.delivery.run().await;
        let sent = self.sent.lock().unwrap().iter().map(|(_, batch)| batch.clone()).collect();
        (ended, sent, self.metrics)
    }
}

fn spool(dir: &TempDir, metrics: &Metrics) -> Spool {
    let path = dir.path().to_path_buf();
    let teller = Teller::new("test", path.clone(), metrics.register_spool("test"));
    Spool::open(path, (&SinkSpoolConfig::default()).into(), teller)
}

fn count(metrics: &Metrics, outcome: &str) -> u64 {
    metrics.sink_records.with_label_values(&["test", outcome]).get()
}

fn failures(metrics: &Metrics, reason: Reason) -> u64 {
    metrics.sink_failures.with_label_values(&["test", reason.label()]).get()
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_trouble_and_the_same_is_sent_again() {
    let mut first = true;
    let bench = Bench::new(move |_| match std::mem::take(&mut first) {
        true => Hangs,
        false => Answers(Answer::taken()),
    });
    let sent = Arc::clone(&bench.sent);
    let (outlet, delivery) = (bench.outlet, bench.delivery);
    (0..3).for_each(|number| outlet.send(&record(number, 10)));
    let driver = async {
        tokio::time::sleep(60 * SECOND).await;
        drop(outlet);
    };
    tokio::join!(delivery.run(), driver).0.unwrap();
    let sent = sent.lock().unwrap();
    assert_eq!((&sent[0].1, &sent[1].1, sent.len()), (&vec![0, 1, 2], &vec![0, 1, 2], 2));
    let between = sent[1].0 - sent[0].0;
    assert!((31 * SECOND..33 * SECOND).contains(&between), "{between:?}");
    assert_eq!(failures(&bench.metrics, Reason::Timeout), 1);
}

#[tokio::test(start_paused = true)]
async fn the_other_side_says_when_it_may_be_tried_again() {
    let mut first = true;
    let bench = Bench::new(move |_| {
        let trouble = Trouble { reason: Reason::Busy, text: "429".into() };
        match std::mem::take(&mut first) {
            true => Answers(Answer::Later { trouble, after: Some(40 * SECOND) }),
            false => Answers(Answer::taken()),
        }
    });
    let sent = Arc::clone(&bench.sent);
    let (outlet, delivery) = (bench.outlet, bench.delivery);
    outlet.send(&record(0, 10));
    let driver = async {
        tokio::time::sleep(60 * SECOND).await;
        drop(outlet);
    };
    tokio::join!(delivery.run(), driver).0.unwrap();
    let sent = sent.lock().unwrap();
    assert!(sent[1].0 - sent[0].0 >= 40 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_not_put_off_by_a_backend_that_hangs() {
    let began = Instant::now();
    let (ended, sent, _) = Bench::new(|_| Hangs).play(5).await;
    assert_eq!(ended.unwrap_err().to_string(), "it takes nothing; 5 records are lost");
    assert_eq!(sent.len(), 1);
    assert_eq!(began.elapsed().as_secs(), POLICY.last_words.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_end_is_not_put_off_by_pauses() {
    let began = Instant::now();
    let down = |_: &[usize]| Answers(Answer::later(Reason::Connect, "refused"));
    let (ended, ..) = Bench::new(down).play(5).await;
    assert!(ended.is_err());
    assert_eq!(began.elapsed().as_secs(), POLICY.last_words.as_secs());
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_end_is_in_the_spool_and_comes_first_after_it() {
    let dir = TempDir::new().unwrap();
    let (ended, ..) = Bench::new(|_| Hangs).spooled(&dir).play(50).await;
    ended.unwrap();
    let bench = Bench::new(|_| Answers(Answer::taken())).spooled(&dir);
    bench.outlet.send(&record(50, 10));
    let (ended, sent, metrics) = bench.play(0).await;
    ended.unwrap();
    assert_eq!(sent.concat(), (0..51).collect::<Vec<_>>());
    assert_eq!((count(&metrics, "queued"), count(&metrics, "written")), (51, 51));
    let (_, sent, _) = Bench::new(|_| Answers(Answer::taken())).spooled(&dir).play(0).await;
    assert!(sent.is_empty(), "it was taken");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_not_put_off_by_what_an_outage_left() {
    let dir = TempDir::new().unwrap();
    let slow = |_: &[usize]| AnswersAfter(SECOND * 3 / 2, Answer::taken());
    let began = Instant::now();
    let (ended, sent, _) = Bench::new(slow).spooled(&dir).play(900).await;
    ended.unwrap();
    assert_eq!(began.elapsed().as_secs(), POLICY.last_words.as_secs());
    let taken = sent.len() - 1;
    let rest = Bench::new(|_| Answers(Answer::taken())).spooled(&dir).play(0).await.1.concat();
    assert_eq!(rest, (taken * 16..900).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_a_backend_hangs_is_taken_in() {
    let dir = TempDir::new().unwrap();
    let bench = Bench::new(|_| Hangs).spooled(&dir);
    let (outlet, delivery, metrics) = (bench.outlet, bench.delivery, bench.metrics);
    let driver = async {
        for number in 0..4 * QUEUE {
            outlet.send(&record(number, 10));
            if number % 100 == 0 {
                tokio::time::sleep(SECOND).await;
            }
        }
        drop(outlet);
    };
    tokio::join!(delivery.run(), driver).0.unwrap();
    assert_eq!((count(&metrics, "dropped"), count(&metrics, "queued")), (0, 4 * QUEUE as u64));
    let rest = Bench::new(|_| Answers(Answer::taken())).spooled(&dir).play(0).await.1.concat();
    assert_eq!(rest, (0..4 * QUEUE).collect::<Vec<_>>());
}
