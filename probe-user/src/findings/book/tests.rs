use jiff::Timestamp;

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

/// Quiet for longer than the condition's own hold time (s).
const OVER: u64 = 11 * SECOND;
const MINUTE: u64 = 60 * SECOND;

#[test]
fn one_that_fires_again_soon_is_the_same_one() {
    let mut book = Book::default();
    let first = hold(&mut book, 1, Severity::Critical, SECOND).expect("fires");
    let end = SECOND + OVER;
    assert_eq!(book.expire(end)[0].flaps, 0);
    // Ten minutes after its end, to the nanosecond.
    let again = hold(&mut book, 1, Severity::Warning, end + 10 * MINUTE).expect("fires again");
    assert_eq!((&again.id, again.revision, again.flaps), (&first.id, 3, 1));
    assert_eq!((again.state, again.severity), (State::Firing, Severity::Critical));
    assert_eq!(again.first_seen, first.first_seen);
    assert_eq!(again.incident.id, first.incident.id);
}

#[test]
fn one_that_fires_again_later_is_a_new_one() {
    let mut book = Book::default();
    let first = hold(&mut book, 1, Severity::Critical, SECOND).expect("fires");
    let end = SECOND + OVER;
    book.expire(end);
    let again = hold(&mut book, 1, Severity::Warning, end + 10 * MINUTE + 1).expect("fires");
    assert_ne!(again.id, first.id);
    assert_eq!((again.revision, again.flaps, again.severity), (1, 0, Severity::Warning));
    assert_eq!(book.resolved.len(), 0, "forgotten");
}

#[test]
fn one_that_begins_again_and_again_resolves_late() {
    let mut book = Book::default();
    let mut now = SECOND;
    hold(&mut book, 1, Severity::Warning, now).expect("fires");
    for flaps in 1..=3 {
        now += OVER;
        assert_eq!(book.expire(now).len(), 1, "resolves in time until it flapped too often");
        now += MINUTE;
        let again = hold(&mut book, 1, Severity::Warning, now).expect("fires again");
        assert_eq!(again.flaps, flaps);
    }
    // For an hour it comes and goes each five minutes: nobody hears of it but by updates.
    let mut sent = 0;
    for _ in 0..12 {
        assert!(book.expire(now + OVER).is_empty(), "held back");
        now += 5 * MINUTE;
        let update = hold(&mut book, 1, Severity::Warning, now);
        sent += update.map_or(0, |update| update.flaps);
    }
    assert_eq!(sent, 12 * 3, "updates, and none of them a flap");
    assert!(book.expire(now + 10 * MINUTE).is_empty());
    let resolved = book.expire(now + 10 * MINUTE + 1);
    assert_eq!((resolved.len(), resolved[0].state), (1, State::Resolved));
    // It goes on where it was if it cannot keep still.
    let again = hold(&mut book, 1, Severity::Warning, now + 19 * MINUTE).expect("fires again");
    assert_eq!(again.flaps, 4);
}

#[test]
fn episodes_that_ended_are_bounded_and_counted() {
    let mut book = Book::default();
    for round in 0..3 {
        let now = SECOND + round * 2 * OVER;
        for key in 0..MOST_OPEN as u64 {
            hold(&mut book, round << 32 | key, Severity::Info, now).expect("fires");
        }
        assert_eq!(book.expire(now + OVER).len(), MOST_OPEN);
    }
    assert_eq!(book.resolved.len(), MOST_RESOLVED);
    assert!(book.evicted() >= 2 * MOST_RESOLVED as u64);
}

#[test]
fn clocks_that_jump_keep_nothing_open_for_ever() {
    let mut book = Book::default();
    hold(&mut book, 1, Severity::Warning, u64::MAX).expect("fires");
    assert!(book.expire(SECOND).is_empty());
    assert_eq!(book.expire(SECOND + OVER).len(), 1);
    hold(&mut book, 1, Severity::Warning, 0).expect("fires");
    assert_eq!(book.expire(u64::MAX).len(), 1);
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

#[test]
fn a_step_of_the_wall_clock_moves_no_finding_that_fired_before() {
    const DAY: i64 = 86_400;
    let noon = 1_700_000_000;
    let second = |second| Timestamp::from_second(second).unwrap();
    let mut book = Book::default();
    let mut at = |boot: u64, wall| {
        let clock = Clock::showing(boot * SECOND, second(wall));
        book.hold(condition(1, Severity::Warning, boot * SECOND), clock, |_| Subject::default())
    };
    let fired = at(100, noon).expect("fires");
    assert_eq!((fired.first_seen, fired.last_seen), (second(noon), second(noon)));
    for (boot, wall) in [(160, noon - DAY), (220, noon + 365 * DAY)] {
        let update = at(boot, wall).expect("minute update");
        assert_eq!((&update.id, update.first_seen), (&fired.id, fired.first_seen));
        assert_eq!(update.last_seen, second(noon + boot as i64 - 100));
    }
    let resolved = book.expire(1_000 * SECOND);
    assert_eq!(resolved[0].last_seen, second(noon + 120));
}
