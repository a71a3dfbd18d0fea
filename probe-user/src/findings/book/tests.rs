use super::*;
use crate::findings::testing::{SECOND, condition};

fn hold(book: &mut Book, key: u64, severity: Severity, at: u64) -> Option<Finding> {
    book.hold(condition(key, severity, at), Clock::now(), |_| Subject::default())
}

#[test]
fn fires_once_updates_and_resolves() {
    let mut book = Book::default();
    let fired = hold(&mut book, 1, Severity::Warning, SECOND).expect("fires");
    assert_eq!((fired.revision, fired.state), (1, State::Firing));
    assert!(hold(&mut book, 1, Severity::Warning, 2 * SECOND).is_none(), "once only");

    let worse = hold(&mut book, 1, Severity::Critical, 3 * SECOND).expect("escalates");
    assert_eq!((worse.revision, worse.severity, &worse.id), (2, Severity::Critical, &fired.id));
    assert!(hold(&mut book, 1, Severity::Warning, 4 * SECOND).is_none(), "never gets milder");

    let update = hold(&mut book, 1, Severity::Warning, 64 * SECOND).expect("minute update");
    assert_eq!((update.revision, update.severity), (3, Severity::Critical));

    assert!(book.expire(74 * SECOND).is_empty(), "still within its hold time");
    let resolved = book.expire(75 * SECOND);
    assert_eq!(resolved.len(), 1);
    assert_eq!((resolved[0].revision, resolved[0].state), (4, State::Resolved));
    assert_eq!(resolved[0].id, fired.id);
    assert!(book.expire(1_000 * SECOND).is_empty());
}

#[test]
fn a_new_episode_has_a_new_id() {
    let mut book = Book::default();
    let first = hold(&mut book, 1, Severity::Warning, SECOND).expect("fires");
    book.expire(100 * SECOND);
    let second = hold(&mut book, 1, Severity::Warning, 200 * SECOND).expect("fires again");
    assert_ne!(first.id, second.id);
}

#[test]
fn is_bounded_and_counts_what_it_drops() {
    let mut book = Book::default();
    for key in 0..MOST_OPEN as u64 + 5 {
        hold(&mut book, key, Severity::Info, SECOND);
    }
    assert_eq!(book.firing("fork-failures", Severity::Info), MOST_OPEN);
    assert_eq!(book.dropped(), 5);
}
