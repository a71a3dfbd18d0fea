use std::{
    os::fd::OwnedFd,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::event::FdKind;

const ROUNDS_OF_TWO: usize = 2;

/// A /proc made by hand; gone when dropped.
struct Fake(PathBuf);

impl Fake {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("nodeprobe-fds-{}-{number}", process::id()));
        fs::create_dir_all(root.join("sys/fs")).unwrap();
        fs::write(root.join("sys/fs/file-nr"), "1984\t0\t9223372036854775807\n").unwrap();
        Self(root)
    }

    fn process(&self, pid: u32, fds: usize, limit: u64) {
        let process = self.0.join(pid.to_string());
        fs::create_dir_all(process.join("fd")).unwrap();
        for fd in 0..fds {
            std::os::unix::fs::symlink("pipe:[1]", process.join(format!("fd/{fd}"))).unwrap();
        }
        let stat = format!("{pid} (some daemon) S 1 {}77 1\n", "0 ".repeat(17));
        fs::write(process.join("stat"), stat).unwrap();
        let limits = format!("Max open files {limit} {limit} files\n");
        fs::write(process.join("limits"), limits).unwrap();
    }

    fn poller(&self) -> FdPoller {
        let poller = FdPoller::new(&FdConfig::default());
        let file_nr = File::open(self.0.join("sys/fs/file-nr")).ok();
        FdPoller { proc: self.0.clone(), hierarchy: None, sized: false, file_nr, ..poller }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Processes told of, and the round.
fn look(poller: &mut FdPoller) -> (Vec<(u32, ProcessFds)>, FdRound) {
    let mut facts = Vec::new();
    poller.look(7, &mut facts);
    let Some(Event { body: Body::Polled(Fact::FdRound(round)), .. }) = facts.pop() else {
        panic!("a round ends with itself: {facts:?}");
    };
    let told = facts.into_iter().map(|event| match event.body {
        Body::Polled(Fact::ProcessFds(fds)) => (event.context.pid, fds),
        other => panic!("{other:?}"),
    });
    (told.collect(), round)
}

#[test]
fn few_fds_are_not_told_of_and_suspects_are_looked_at() {
    let fake = Fake::new();
    fake.process(1, 100, 128);
    fake.process(2, 0, 1_024);
    let (told, round) = look(&mut fake.poller());
    assert_eq!((round.processes, round.left_out), (2, 0));
    let allocated = NodeFiles { allocated: 1_984, max: i64::MAX as u64 };
    assert_eq!(round.files, Some(allocated));
    let [(1, fds)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((fds.start, fds.limit), (77, Some(128)));
    let kinds = fds.kinds.as_ref().unwrap();
    assert_eq!(kinds.kinds, [FdKind { kind: "pipe".into(), open: 100, directory: None }]);
}

#[test]
fn what_found_no_room_is_counted_and_has_its_turn_next() {
    let fake = Fake::new();
    (1..=5).for_each(|pid| fake.process(pid, 100, 1_000_000));
    let mut poller = FdPoller { most_processes: ROUNDS_OF_TWO, ..fake.poller() };
    let turns = |poller: &mut FdPoller| {
        let (told, round) = look(poller);
        assert_eq!((round.processes, round.left_out), (2, 3));
        told.into_iter().map(|(pid, _)| pid).collect::<Vec<_>>()
    };
    assert_eq!(turns(&mut poller), [1, 2]);
    assert_eq!(turns(&mut poller), [3, 4]);
    assert_eq!(turns(&mut poller), [5, 1]);
}

#[test]
fn what_vanishes_or_makes_no_sense_is_left_out() {
    let fake = Fake::new();
    fake.process(3, 100, 1_024);
    fs::write(fake.0.join("3/stat"), "3 (x").unwrap();
    fs::create_dir(fake.0.join("4")).unwrap();
    fs::write(fake.0.join("sys/fs/file-nr"), "many").unwrap();
    let (told, round) = look(&mut fake.poller());
    assert_eq!((told.len(), round.files, round.processes), (0, None, 2));
}

#[test]
fn real_fds_are_counted_and_told_apart() {
    let held: Vec<OwnedFd> =
        (0..300).map(|_| fs::File::open("/dev/null").unwrap().into()).collect();
    let mut poller = FdPoller::new(&FdConfig::default());
    let (told, _) = look(&mut poller);
    let (_, own) = told.iter().find(|(pid, _)| *pid == process::id()).unwrap();
    assert!(own.open >= held.len() as u64 && own.limit.is_some(), "{own:?}");
    let kinds = own.kinds.as_ref().unwrap();
    assert_eq!(kinds.sampled, 1);
    assert!(kinds.kinds[0].kind == "device" && kinds.kinds[0].open >= 300, "{kinds:?}");
}
