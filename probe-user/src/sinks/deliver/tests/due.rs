//! Backends that have something to do of their own.

use super::*;

/// How often it has something to do.
const EVERY: Duration = Duration::from_secs(60);

/// One that notes when it was sent what, and fails the first `fails` times.
struct Ticking {
    due: Instant,
    fails: usize,
    sent: Sent,
}

impl Backend for Ticking {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        self.sent.lock().unwrap().push((Instant::now(), numbers(batch)));
        Box::pin(async move {
            if self.fails > 0 {
                self.fails -= 1;
                return Answer::Refused("not yet".into());
            }
            self.due = Instant::now() + EVERY;
            Answer::taken()
        })
    }

    fn due(&self) -> Option<Instant> {
        Some(self.due)
    }
}

/// What it was sent in a time, with the seconds since the start, and records from 90 s on.
async fn sent(fails: usize, time: Duration) -> (Vec<(u64, Vec<usize>)>, Arc<Metrics>) {
    let Bench { outlet, mut delivery, sent, metrics } = Bench::new(|_| Answers(Answer::taken()));
    let start = Instant::now();
    delivery.backend = Box::new(Ticking { due: start, fails, sent: Arc::clone(&sent) });
    let driver = async {
        tokio::time::sleep(EVERY * 3 / 2).await;
        outlet.send(&record(7, 10));
        tokio::time::sleep(time - EVERY * 3 / 2).await;
        drop(outlet);
    };
    tokio::join!(delivery.run(), driver).0.unwrap();
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    let seconds = |at: Instant| at.duration_since(start).as_secs();
    (sent.into_iter().map(|(at, batch)| (seconds(at), batch)).collect(), metrics)
}

#[tokio::test(start_paused = true)]
async fn it_is_sent_nothing_when_it_is_due_and_records_between() {
    let (sent, metrics) = sent(0, Duration::from_secs(200)).await;
    assert_eq!(sent, [(0, vec![]), (60, vec![]), (90, vec![7]), (150, vec![])]);
    assert_eq!((count(&metrics, "written"), count(&metrics, "refused")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_it_cannot_do_is_tried_again_with_pauses() {
    let (sent, metrics) = sent(3, Duration::from_secs(100)).await;
    assert!(sent[..4].iter().all(|(_, batch)| batch.is_empty()), "{sent:?}");
    assert!((4..=14).contains(&sent[3].0), "pauses of 1, 2 and 4 s, more or less: {sent:?}");
    assert!(sent.contains(&(90, vec![7])), "{sent:?}");
    assert_eq!((failures(&metrics, Reason::Other), count(&metrics, "written")), (3, 1));
}
