//! Batches of which the other side takes a part, or none because of one record.

use super::*;

/// Batches that hold none of `bad` are taken, all others are not.
fn rejecting(
    bad: BTreeSet<usize>,
    answer: fn(String) -> Answer,
) -> (Bench, Arc<Mutex<Vec<usize>>>) {
    let taken = Arc::<Mutex<Vec<usize>>>::default();
    let keep = Arc::clone(&taken);
    let bench = Bench::new(move |batch| {
        if batch.iter().any(|number| bad.contains(number)) {
            return Answers(answer("no".into()));
        }
        keep.lock().unwrap().extend(batch);
        Answers(Answer::taken())
    });
    (bench, taken)
}

#[tokio::test(start_paused = true)]
async fn halving_finds_exactly_the_records_that_are_refused() {
    let singles = (0..16).map(|one| BTreeSet::from([one]));
    let more = [vec![], vec![0, 1], vec![3, 12, 40], vec![15, 16, 17], (0..48).collect()];
    for bad in singles.chain(more.map(BTreeSet::from_iter)) {
        for answer in [Answer::Refused, Answer::TooLarge] {
            let (bench, taken) = rejecting(bad.clone(), answer);
            let (ended, sent, metrics) = bench.play(48).await;
            ended.unwrap();
            let good: Vec<_> = (0..48).filter(|number| !bad.contains(number)).collect();
            assert_eq!(*taken.lock().unwrap(), good, "each once, in order; bad are {bad:?}");
            assert_eq!(count(&metrics, "refused"), bad.len() as u64);
            assert_eq!(count(&metrics, "written"), good.len() as u64);
            // Four halvings of 16 and the way back up, each time.
            assert!(sent.len() <= 8 + 12 * bad.len(), "{} tries for {bad:?}", sent.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn behind_one_that_is_to_come_again_nothing_overtakes() {
    let trouble = || Trouble { reason: Reason::Busy, text: "wait".into() };
    let mut first = true;
    let bench = Bench::new(move |_| match std::mem::take(&mut first) {
        true => Answers(Answer::Each(vec![
            Verdict::Taken,
            Verdict::Refused("no".into()),
            Verdict::Later(trouble()),
            Verdict::Taken,
        ])),
        false => Answers(Answer::taken()),
    });
    let (ended, sent, metrics) = bench.play(4).await;
    ended.unwrap();
    assert_eq!(sent, [vec![0, 1, 2, 3], vec![2, 3]]);
    assert_eq!((count(&metrics, "written"), count(&metrics, "refused")), (3, 1));
    assert_eq!(failures(&metrics, Reason::Busy), 1);
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_leaves_out_is_sent_again() {
    let mut first = true;
    let bench = Bench::new(move |_| match std::mem::take(&mut first) {
        true => Answers(Answer::Each(vec![Verdict::Taken])),
        false => Answers(Answer::taken()),
    });
    let (ended, sent, metrics) = bench.play(3).await;
    ended.unwrap();
    assert_eq!(sent, [vec![0, 1, 2], vec![1, 2]]);
    assert_eq!(failures(&metrics, Reason::Protocol), 1);
}

#[tokio::test(start_paused = true)]
async fn more_verdicts_than_records_are_of_nobody() {
    let bench = Bench::new(|_| Answers(Answer::Each(vec![Verdict::Taken; 9])));
    let (ended, sent, metrics) = bench.play(3).await;
    ended.unwrap();
    assert_eq!((sent.len(), count(&metrics, "written")), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn no_more_are_refused_than_were_sent() {
    let bench = Bench::new(|batch| {
        // Of the first batch all and more, of the next one.
        let refused = if batch[0] == 0 { usize::MAX } else { 1 };
        Answers(Answer::Partly { refused, why: "no".into() })
    });
    let (ended, sent, metrics) = bench.play(20).await;
    ended.unwrap();
    assert_eq!(sent, [(0..16).collect::<Vec<_>>(), (16..20).collect()], "none comes again");
    assert_eq!((count(&metrics, "refused"), count(&metrics, "written")), (17, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_over_ends_with_its_words() {
    let bench = Bench::new(|_| Answers(Answer::Over("gone".into())));
    let (ended, sent, _) = bench.play(3).await;
    assert_eq!((ended.unwrap_err().to_string(), sent.len()), ("gone".into(), 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_backend_leaves_out_is_counted_and_no_more_than_that() {
    let mut verdicts = vec![Verdict::Taken, Verdict::LeftOut, Verdict::Taken];
    let bench = Bench::new(move |_| Answers(Answer::Each(std::mem::take(&mut verdicts))));
    let (ended, sent, metrics) = bench.play(3).await;
    ended.unwrap();
    assert_eq!(sent, [[0, 1, 2]]);
    let counts = ["written", "left_out", "refused", "expired"].map(|of| count(&metrics, of));
    assert_eq!(counts, [2, 1, 0, 0]);
}
