//! Disks that fail: what is written to them is a real directory, through files that fail when told to.

use std::{
    io,
    sync::{Mutex, MutexGuard},
};

use super::*;

/// What the disk does.
#[derive(Default)]
struct Script {
    /// Bytes that it still takes; then the errno.
    room: Option<(usize, i32)>,
    /// Whether what was written cannot be taken back either.
    cannot_cut: bool,
    sync_fails: bool,
    unreadable: Option<u64>,
    syncs: usize,
    writes: usize,
}

#[derive(Clone, Default)]
struct Control(Arc<Mutex<Script>>);

impl Control {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    fn full(&self, after: usize) {
        self.script().room = Some((after, libc::ENOSPC));
    }

    fn open(&self, dir: &Path, limits: Limits) -> Spool {
        let control = self.clone();
        let opener: Opener = Box::new(move |dir| {
            Ok(Box::new(Faulty { control: control.clone(), files: Directory::open(dir)? }))
        });
        let mut spool = Spool::opened_by(opener, dir.into(), limits, teller(dir));
        spool.tend();
        spool
    }
}

struct Faulty {
    control: Control,
    files: Directory,
}

impl Files for Faulty {
    fn list(&mut self) -> io::Result<Vec<u64>> {
        self.files.list()
    }

    fn read(&mut self, segment: u64) -> io::Result<Vec<u8>> {
        if self.control.script().unreadable == Some(segment) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.files.read(segment)
    }

    fn create(&mut self, segment: u64) -> io::Result<()> {
        self.files.create(segment)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut script = self.control.script();
        script.writes += 1;
        let Some((room, errno)) = &mut script.room else { return self.files.append(bytes) };
        let taken = bytes.len().min(*room);
        *room -= taken;
        match taken {
            0 => Err(io::Error::from_raw_os_error(*errno)),
            _ => self.files.append(&bytes[..taken]),
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        match self.control.script().cannot_cut {
            true => Err(io::Error::from_raw_os_error(libc::EIO)),
            false => self.files.cut(length),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut script = self.control.script();
        script.syncs += 1;
        match script.sync_fails {
            true => Err(io::Error::from_raw_os_error(libc::EIO)),
            false => self.files.sync(),
        }
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        self.files.remove(segment)
    }

    fn cursor(&mut self) -> io::Result<Vec<u8>> {
        self.files.cursor()
    }

    fn set_cursor(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.files.set_cursor(bytes)
    }
}

const MINUTE: Duration = Duration::from_secs(61);

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_waited_out_in_memory() {
    let mut seven = Vec::new();
    (3..10).for_each(|n| assert!(segment::append(&mut seven, &record(n, 50))));
    for room in (0..seven.len()).step_by(37) {
        for cannot_cut in [false, true] {
            let (dir, control) = (TempDir::new().unwrap(), Control::default());
            let mut spool = control.open(dir.path(), LIMITS);
            take_in(&mut spool, (0..3).map(|n| record(n, 50)));
            control.full(room);
            control.script().cannot_cut = cannot_cut;
            for number in 3..10 {
                take_in(&mut spool, [record(number, 50)]);
            }
            assert!(spool.perishable() > 0 && spool.trouble().unwrap().contains("see to its file"));
            assert_eq!(numbers(&spool.batch(ALL)), (0..10).collect::<Vec<_>>(), "room {room}");
            spool.forget(1);
            control.script().room = None;
            tokio::time::advance(MINUTE).await;
            spool.tend();
            assert_eq!((spool.perishable(), spool.trouble()), (0, None), "it works again");
            take_in(&mut spool, [record(10, 50)]);
            let got = drain(&mut open(killed(dir.path()).path()));
            match cannot_cut {
                false => assert_eq!(got, (1..11).collect::<Vec<_>>(), "room {room}"),
                // What was half taken back may come twice, the copies in order.
                true => {
                    let mut first = got.clone();
                    first.sort_unstable();
                    first.dedup();
                    assert_eq!(first, (1..11).collect::<Vec<_>>(), "room {room}");
                }
            }
            assert_eq!(drain(&mut spool), (1..11).collect::<Vec<_>>(), "room {room}");
        }
    }
}

#[test]
fn memory_is_bounded_while_the_disk_takes_nothing() {
    let (dir, control) = (TempDir::new().unwrap(), Control::default());
    control.full(0);
    let mut spool = control.open(dir.path(), LIMITS);
    let mut taken = 0;
    while spool.has_room() {
        take_in(&mut spool, [record(taken, 1_000)]);
        taken += 1;
    }
    assert_eq!((taken, spool.perishable()), (1_024, 1_024));
    assert!(control.script().writes < 10, "a disk that failed is left alone for a while");
    assert_eq!(drain(&mut spool), (0..taken).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_failed_and_works_is_noticed_without_anything_to_write() {
    let (dir, control) = (TempDir::new().unwrap(), Control::default());
    let mut spool = control.open(dir.path(), LIMITS);
    control.full(0);
    take_in(&mut spool, [record(0, 50)]);
    assert_eq!(drain(&mut spool), [0]);
    assert!(spool.trouble().is_some());
    control.script().room = None;
    let due = spool.due().expect("a time to try it again");
    tokio::time::advance(due - Instant::now()).await;
    spool.tend();
    assert_eq!((spool.trouble(), spool.due()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn it_is_made_sure_of_as_configured() {
    for (fsync, settled, later) in
        [(Fsync::Always, 3, 3), (Fsync::Interval, 0, 1), (Fsync::Never, 0, 0)]
    {
        let (dir, control) = (TempDir::new().unwrap(), Control::default());
        let mut spool = control.open(dir.path(), Limits { fsync, ..LIMITS });
        for number in 0..3 {
            take_in(&mut spool, [record(number, 50)]);
        }
        assert_eq!(control.script().syncs, settled, "{fsync:?}");
        let due = spool.due().expect("something waits");
        assert!(due - Instant::now() <= Duration::from_secs(1));
        tokio::time::advance(due - Instant::now()).await;
        spool.tend();
        assert_eq!(control.script().syncs, later, "{fsync:?}");
        spool.tend();
        assert_eq!(control.script().syncs, later, "{fsync:?}: nothing new");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_another_segment_is_written() {
    let (dir, control) = (TempDir::new().unwrap(), Control::default());
    let mut spool = control.open(dir.path(), LIMITS);
    take_in(&mut spool, [record(0, 50)]);
    control.script().sync_fails = true;
    spool.tend();
    assert!(spool.trouble().is_some());
    control.script().sync_fails = false;
    tokio::time::advance(MINUTE).await;
    take_in(&mut spool, [record(1, 50)]);
    assert_eq!((spool.trouble(), files(dir.path()).len()), (None, 2));
    assert_eq!(drain(&mut open(killed(dir.path()).path())), [0, 1]);
}

#[test]
fn a_segment_that_cannot_be_read_is_skipped_and_counted() {
    let (dir, control) = (TempDir::new().unwrap(), Control::default());
    let mut spool = control.open(dir.path(), LIMITS);
    (0..300).for_each(|n| take_in(&mut spool, [record(n, 10_000)]));
    control.script().unreadable = Some(4);
    let got = drain(&mut spool);
    let News { expired, .. } = spool.take_news();
    assert!((40..60).contains(&expired), "{expired}");
    assert_eq!(got.len() + expired, 300);
    assert!(got.is_sorted() && got.contains(&0) && got.contains(&299));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_somebody_removed_is_made_again() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("spool");
    let mut spool = open(&dir);
    take_in(&mut spool, [record(0, 50)]);
    fs::remove_dir_all(&dir).unwrap();
    // What is open still takes records; the next segment does not come about.
    take_in(&mut spool, (1..100).map(|n| record(n, 10_000)));
    assert_eq!(spool.perishable(), spool.waiting());
    tokio::time::advance(MINUTE).await;
    assert_eq!(numbers(&spool.batch(Most { records: 2, ..ALL })), [0, 1]);
    spool.settle();
    assert_eq!((spool.perishable(), spool.trouble()), (0, None));
    assert_eq!(drain(&mut open(killed(&dir).path())), (0..100).collect::<Vec<_>>());
}
