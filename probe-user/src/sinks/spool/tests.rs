//! The spool as the loop of a sink sees it, over real files.

use std::{fs, os::unix::fs::PermissionsExt, sync::LazyLock};

use tempfile::TempDir;

use super::*;
use crate::{
    metrics::Metrics,
    sinks::testing::{event, numbers, record},
};

mod damage;
mod faults;

const LIMITS: Limits = Limits {
    bytes: 64 * 1024 * 1024,
    age: Duration::from_secs(24 * 3600),
    fsync: Fsync::Interval,
    events: false,
};
const ALL: Most = Most { records: usize::MAX, bytes: usize::MAX };

static METRICS: LazyLock<Metrics> = LazyLock::new(|| Metrics::new().unwrap());

fn teller(dir: &Path) -> Teller {
    Teller::new("test", dir.into(), METRICS.register_spool("test"))
}

fn open_with(dir: &Path, limits: Limits) -> Spool {
    let mut spool = Spool::open(dir.into(), limits, teller(dir));
    spool.tend();
    spool
}

fn open(dir: &Path) -> Spool {
    open_with(dir, LIMITS)
}

/// Takes records in as one settling.
fn take_in(spool: &mut Spool, records: impl IntoIterator<Item = Arc<Record>>) {
    records.into_iter().for_each(|record| spool.push(record));
    spool.settle();
}

/// All that waits, handed over batch by batch.
fn drain(spool: &mut Spool) -> Vec<usize> {
    let mut all = Vec::new();
    while spool.waiting() > 0 {
        let batch = spool.batch(Most { records: 7, bytes: 100_000 });
        assert!(!batch.is_empty(), "{} wait", spool.waiting());
        all.extend(numbers(&batch));
        spool.forget(batch.len());
    }
    all
}

fn files(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".segment"));
    names.sort();
    names
}

/// A directory as it is when the process is killed now.
fn killed(dir: &Path) -> TempDir {
    let image = TempDir::new().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, image.path().join(path.file_name().unwrap())).unwrap();
    }
    image
}

#[test]
fn what_was_settled_comes_again_and_what_was_taken_does_not() {
    let dir = TempDir::new().unwrap();
    let mut spool = open(dir.path());
    take_in(&mut spool, (0..10).map(|n| record(n, 50)));
    let batch = spool.batch(Most { records: 4, ..ALL });
    assert_eq!(numbers(&batch), [0, 1, 2, 3]);
    spool.forget(3);
    let image = killed(dir.path());
    let mut spool = open(image.path());
    assert_eq!(spool.take_news(), News { resumed: 7, expired: 0 });
    take_in(&mut spool, (10..12).map(|n| record(n, 50)));
    assert_eq!(numbers(&spool.batch(ALL)), (3..12).collect::<Vec<_>>());
    assert_eq!(numbers(&spool.batch(ALL)), (3..12).collect::<Vec<_>>(), "until it is taken");
    assert_eq!(drain(&mut spool), (3..12).collect::<Vec<_>>());
    let image = killed(image.path());
    assert_eq!(open(image.path()).waiting(), 0);
}

#[test]
fn an_end_in_peace_leaves_nothing_that_was_taken() {
    let dir = TempDir::new().unwrap();
    let mut spool = open(dir.path());
    take_in(&mut spool, (0..3).map(|n| record(n, 50)));
    drain(&mut spool);
    drop(spool);
    assert_eq!(files(dir.path()), [""; 0]);
    let mut spool = open(dir.path());
    take_in(&mut spool, [record(3, 50)]);
    let image = killed(dir.path());
    assert_eq!(drain(&mut open(image.path())), [3], "an old cursor is no cursor of it");
}

#[test]
fn a_long_wait_takes_disk_and_no_memory() {
    let dir = TempDir::new().unwrap();
    let mut spool = open(dir.path());
    let count = 2_000;
    for number in 0..count {
        take_in(&mut spool, [record(number, 10_000)]);
    }
    assert!(spool.durable.in_memory() < 1_100_000, "{}", spool.durable.in_memory());
    assert!(files(dir.path()).len() > 30);
    assert_eq!(spool.waiting(), count);
    assert_eq!(drain(&mut spool), (0..count).collect::<Vec<_>>());
    assert!(spool.durable.in_memory() == 0 && files(dir.path()).len() < 2);
    let mut spool = open(killed(dir.path()).path());
    assert_eq!(drain(&mut spool), [0; 0]);
}

#[test]
fn what_has_no_room_is_the_oldest_and_is_counted() {
    let dir = TempDir::new().unwrap();
    let mut spool = open_with(dir.path(), Limits { bytes: 4 * 1024 * 1024, ..LIMITS });
    for number in 0..1_000 {
        take_in(&mut spool, [record(number, 10_000)]);
        if number == 0 {
            assert_eq!(numbers(&spool.batch(Most { records: 1, ..ALL })), [0]);
        }
        spool.tend();
    }
    let expired = spool.take_news().expired;
    assert!((400..700).contains(&expired), "{expired}");
    assert_eq!(spool.waiting(), 1_000 - expired);
    let left = drain(&mut spool);
    assert_eq!(left[0], 0, "it was on its way");
    assert_eq!((left.len(), *left.last().unwrap()), (1_000 - expired, 999));
    assert!(left.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn what_waited_too_long_is_given_up() {
    let dir = TempDir::new().unwrap();
    let mut spool = open_with(dir.path(), LIMITS);
    take_in(&mut spool, [record(0, 50), record(1, 50)]);
    tokio::time::advance(LIMITS.age - Duration::from_secs(60)).await;
    take_in(&mut spool, [record(2, 50)]);
    assert_eq!(numbers(&spool.batch(ALL)), [0, 1, 2]);
    tokio::time::advance(Duration::from_secs(120)).await;
    spool.tend();
    assert_eq!(numbers(&spool.batch(ALL)), [2]);
    assert_eq!(spool.take_news().expired, 2);
}

#[test]
fn events_stay_in_memory_and_the_newest_of_them() {
    let dir = TempDir::new().unwrap();
    let mut spool = open(dir.path());
    take_in(&mut spool, (0..5_000).map(|n| event(n, 10)).chain([record(9_999, 10)]));
    assert_eq!(spool.take_news().expired, 5_000 - 4_096);
    let batch = spool.batch(Most { records: 3, ..ALL });
    assert_eq!(numbers(&batch), [9_999, 904, 905]);
    take_in(&mut spool, [event(5_000, 10)]);
    assert_eq!(spool.take_news().expired, 1);
    spool.forget(2);
    let batch = spool.batch(Most { records: 2, ..ALL });
    assert_eq!(numbers(&batch), [905, 907], "what was on its way was not given up");
    assert_eq!(open(killed(dir.path()).path()).waiting(), 0);
    let dir = TempDir::new().unwrap();
    let mut spool = open_with(dir.path(), Limits { events: true, ..LIMITS });
    take_in(&mut spool, [event(1, 10)]);
    assert_eq!(open(killed(dir.path()).path()).waiting(), 1);
}

#[test]
fn nobody_else_may_look_into_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/b");
    let mut spool = open(&path);
    take_in(&mut spool, [record(0, 50)]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&dir.path().join("a"))), (0o700, 0o700));
    for entry in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_uses_a_directory_and_the_next_waits() {
    let dir = TempDir::new().unwrap();
    let mut old = open(dir.path());
    take_in(&mut old, [record(0, 50)]);
    let mut new = open(dir.path());
    assert!(new.trouble().unwrap().contains("the sink as it was before still hands over"));
    fs::write(dir.path().join("lock"), "1\n").unwrap();
    let another = open(dir.path());
    let expected = "another nodeprobe uses it (process 1\\n); end that one, or give";
    assert!(another.trouble().unwrap().contains(expected), "{:?}", another.trouble());
    drop(another);
    take_in(&mut new, [record(1, 50)]);
    assert_eq!((new.perishable(), new.waiting()), (1, 1));
    assert_eq!(numbers(&new.batch(ALL)), [1], "it works from memory");
    take_in(&mut old, [record(2, 50)]);
    drop(old);
    tokio::time::advance(Duration::from_secs(61)).await;
    new.tend();
    assert_eq!(new.waiting(), 1, "not while something is on its way");
    assert_eq!(numbers(&new.batch(ALL)), [0, 2, 1], "the older first");
    assert_eq!(new.take_news().resumed, 2);
    new.settle();
    assert_eq!((new.trouble(), new.perishable()), (None, 0));
    new.forget(1);
    assert_eq!(drain(&mut open(killed(dir.path()).path())), [2, 1]);
}

#[test]
fn errors_say_what_to_do() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let spool = open(&dir.path().join("file/spool"));
    assert!(spool.trouble().unwrap().contains("make it a directory that nodeprobe can write to"));
}
