use std::sync::mpsc::{Receiver, sync_channel};

use prometheus::Opts;

use super::*;

/// Without a thread: jobs stay in the queue.
fn idle() -> (Symbols, Receiver<Site>) {
    let (jobs, queue) = sync_channel(QUEUE);
    let known = Known { sites: LruCache::new(MOST), forgotten: Vec::new() };
    let outcomes = IntCounterVec::new(Opts::new("frames", "Frames."), &["outcome"]).unwrap();
    (Symbols { jobs, known: Arc::new(Mutex::new(known)), outcomes }, queue)
}

fn site(pid: u32, stack: u32) -> Site {
    Site { pid, stack: Some(stack), caller: 0 }
}

#[test]
fn a_stack_is_asked_for_once_and_then_known() {
    let (mut symbols, queue) = idle();
    assert_eq!(symbols.look(site(1, 1)), None);
    assert_eq!(symbols.look(site(1, 1)), None, "still looked up");
    assert_eq!(queue.try_iter().collect::<Vec<_>>(), [site(1, 1)]);
    let trace = Arc::new(Trace { frames: vec!["main.main".into()], unreadable: None });
    lock(&symbols.known).sites.put(site(1, 1), Some(Arc::clone(&trace)));
    assert_eq!(symbols.look(site(1, 1)), Some(trace));
    assert_eq!(queue.try_iter().count(), 0);
}

#[test]
fn a_full_queue_is_said_and_counted_and_tried_again() {
    let (mut symbols, queue) = idle();
    (0..QUEUE as u32).for_each(|n| assert_eq!(symbols.look(site(n, n)), None));
    let refused = symbols.look(site(99, 99)).unwrap();
    assert!(refused.unreadable.as_ref().unwrap().contains("too many"));
    assert_eq!(symbols.outcomes.with_label_values(&["no_room"]).get(), 1);
    assert_eq!(queue.try_iter().count(), QUEUE);
    assert_eq!(symbols.look(site(99, 99)), None);
    drop(queue);
    assert!(symbols.look(site(98, 98)).is_some(), "the thread is gone");
}

#[test]
fn stacks_are_bounded_and_given_up_when_nobody_shares_them() {
    let (mut symbols, queue) = idle();
    for n in 0..MOST.get() as u32 + 2 {
        symbols.look(site(n + 1, n / 2));
        queue.try_iter().for_each(drop);
    }
    let mut known = lock(&symbols.known);
    assert_eq!(known.sites.len(), MOST.get());
    assert_eq!(known.forgotten, [0, 0], "the two oldest, of one stack");
    known.sites.put(site(77, 0), None);
    known.forgotten.push(300);
    assert_eq!(worker::unused(&mut known), [300], "0 is shared");
    assert!(worker::unused(&mut known).is_empty());
}

#[test]
fn stacks_of_the_dead_are_forgotten() {
    let (mut symbols, _queue) = idle();
    let own = std::process::id();
    symbols.look(site(own, 1));
    symbols.look(site(0x7fff_ffff, 2));
    worker::forget_dead(&symbols.known);
    let mut known = lock(&symbols.known);
    assert_eq!(known.sites.iter().map(|(site, _)| site.pid).collect::<Vec<_>>(), [own]);
    assert_eq!(worker::unused(&mut known), [2]);
}
