use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use super::*;

const SECOND: u64 = 1_000_000_000;
/// Longer than any machine needs; never a measure.
const GUARD: Duration = Duration::from_secs(60);

fn part(end: End) -> Part {
    let turns = Some(Turns { within: Duration::from_secs(10), vital: true });
    Part { name: "part", end, help: "do this", turns }
}

fn supervisor() -> (Supervisor, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    (Supervisor::new(Arc::clone(&metrics)), metrics)
}

fn text(metrics: &Metrics) -> String {
    String::from_utf8(metrics.encode().unwrap()).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(GUARD, work).await.expect("in time") })
}

/// What the agent says when a thread that means this much ends like that.
fn thread_ends(end: End, work: fn() -> io::Result<()>) -> String {
    let (mut supervisor, _) = supervisor();
    supervisor.thread(part(end), 128 * 1024, move |_| work()).unwrap();
    block_on(supervisor.unexpected_end()).to_string()
}

/// Whether nothing is said, when all ended that was to end.
fn is_tolerated(end: End, work: fn() -> io::Result<()>) -> (bool, String) {
    let (mut supervisor, metrics) = supervisor();
    let thread = supervisor.thread(part(end), 128 * 1024, move |_| work()).unwrap();
    let _ = thread.join();
    let tolerated = block_on(async {
        tokio::time::timeout(Duration::from_millis(20), supervisor.unexpected_end()).await.is_err()
    });
    (tolerated, text(&metrics))
}

fn broken() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::EPIPE))
}

#[test]
fn a_thread_that_must_not_end_ends_the_agent_with_name_reason_and_advice() {
    assert_eq!(
        thread_ends(End::Never, || Ok(())),
        "part ended: it returned, which it must not; \
         this is a bug of nodeprobe: please report it with this line"
    );
    let failed = "part ended: Broken pipe (os error 32); do this";
    assert_eq!(thread_ends(End::Never, broken), failed);
    assert_eq!(thread_ends(End::WhenDone, broken), failed);
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    for end in [End::Never, End::WhenDone] {
        let said = thread_ends(end, || panic!("no {} left", "fish"));
        assert!(said.starts_with("part ended: it panicked: no fish left"), "{said}");
        assert!(said.contains("; this is a bug of nodeprobe"), "{said}");
        assert!(!said.contains('\n'), "{said:?}");
    }
}

#[test]
fn a_thread_may_end_when_it_is_done() {
    assert!(is_tolerated(End::WhenDone, || Ok(())).0);
}

#[test]
fn a_part_that_may_fail_is_counted_and_ends_nothing() {
    let (tolerated, metrics) = is_tolerated(End::Any, || Ok(()));
    assert!(tolerated);
    assert!(metrics.contains("nodeprobe_part_failures_total{part=\"part\"} 0"), "{metrics}");
    for failing in [broken as fn() -> io::Result<()>, || panic!("never mind")] {
        let (tolerated, metrics) = is_tolerated(End::Any, failing);
        assert!(tolerated);
        assert!(metrics.contains("nodeprobe_part_failures_total{part=\"part\"} 1"), "{metrics}");
    }
}

#[test]
fn tasks_are_judged_like_threads() {
    let (mut supervisor, metrics) = supervisor();
    let said = block_on(async {
        supervisor.task(Part { name: "log", ..part(End::Any) }, async { panic!("bad record") });
        supervisor.task(part(End::WhenDone), async { Ok(()) });
        supervisor.task(part(End::Never), async {
            tokio::task::yield_now().await;
            broken()
        });
        supervisor.unexpected_end().await
    });
    assert_eq!(said.to_string(), "part ended: Broken pipe (os error 32); do this");
    let metrics = text(&metrics);
    assert!(metrics.contains("nodeprobe_part_failures_total{part=\"log\"} 1"), "{metrics}");
}

/// A thread that works for as long as nobody lets it go on, then waits until it is let go.
fn worker(supervisor: &mut Supervisor) -> (Sender<()>, Receiver<()>, Thread) {
    let ((go, gone), (tell, told)) = (channel(), channel());
    let thread = supervisor.thread(part(End::WhenDone), 128 * 1024, move |beat| {
        beat.turn();
        tell.send(()).unwrap();
        gone.recv().unwrap();
        beat.rest();
        tell.send(()).unwrap();
        let _ = gone.recv();
        Ok(())
    });
    told.recv().unwrap();
    (go, told, thread.unwrap())
}

#[test]
fn a_thread_that_works_for_too_long_is_stuck_until_it_turns() {
    let (mut supervisor, metrics) = supervisor();
    let (go, told, thread) = worker(&mut supervisor);
    let stuck = |names: &[&'static str]| Stuck { all: names.into(), vital: !names.is_empty() };
    for second in 0..10 {
        assert_eq!(supervisor.tick(second * SECOND), stuck(&[]), "{second}");
    }
    assert_eq!(supervisor.tick(10 * SECOND), stuck(&["part"]));
    assert!(text(&metrics).contains("nodeprobe_loop_stuck{loop=\"part\"} 1"));
    assert!(text(&metrics).contains("nodeprobe_loop_last_turn_age_seconds{loop=\"part\"} 10"));
    go.send(()).unwrap();
    told.recv().unwrap();
    assert_eq!(supervisor.tick(12 * SECOND), stuck(&[]));
    assert!(text(&metrics).contains("nodeprobe_loop_stuck{loop=\"part\"} 0"));
    for second in 13..100 {
        assert_eq!(supervisor.tick(second * SECOND), stuck(&[]), "it waits for work");
    }
    drop(go);
    thread.join().unwrap();
    assert_eq!(supervisor.tick(100 * SECOND), stuck(&[]), "what ended is not stuck");
}
