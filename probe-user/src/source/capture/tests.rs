use super::*;
use crate::{
    event::{
        CgroupTasks, Comm, Context, Event, Fact, FdKind, FdKinds, FdRound, Gap, HeldSockets,
        LimitedCgroups, NodeFiles, NodeTasks, ProcessFds,
    },
    frame::Frame,
    signals::rtnl::{Party, Wait, WaitingNow},
    source::poll,
};

fn facts() -> Vec<Event> {
    let party = Party {
        pid: 4,
        comm: Comm::of("ip"),
        parent: Some((3, Comm::of("cni"))),
        ..Party::default()
    };
    let wait = Wait { waited_ns: 6, waiter: party, holder: Some(Party::default()) };
    let kind = FdKind { kind: Cow::Borrowed("tcp"), open: 9, directory: Some("/tmp".into()) };
    let kinds = Some(FdKinds { kinds: vec![kind], sampled: 2 });
    let facts = [
        Fact::NodeTasks(NodeTasks { current: 1, threads_max: 2, pid_max: u64::MAX }),
        Fact::RtnlWaiting(WaitingNow { tasks: 2, longest: wait }),
        Fact::ProcessFds(ProcessFds { start: 1, open: 2, limit: Some(3), kinds }),
        Fact::FdRound(FdRound {
            files: Some(NodeFiles { allocated: 1, max: 2 }),
            processes: 3,
            left_out: 4,
            not_told_apart: 5,
        }),
        Fact::CgroupTasks(LimitedCgroups {
            cgroups: vec![CgroupTasks { id: 1, current: 2, limit: 3, height: 4 }],
            unvisited: 5,
        }),
        Fact::Blind(poll::NAMES[1]),
        Fact::Gap(Gap { signal: 2, passed: true }),
        Fact::HeldSockets(HeldSockets { whole: true, ids: vec![1, 2], unread: vec![3] }),
    ];
    let context =
        Context { at: 300, pid: 1, cgroup: Some(5), comm: Comm::of("x"), ..Context::default() };
    facts.map(|fact| Event::polled(context, fact)).into()
}

fn entries(facts: &[Event]) -> Vec<Entry<'_>> {
    let mut entries = vec![
        Entry::Preamble(Cow::Owned(Preamble { kernel: "6.1".into(), ..Preamble::default() })),
        Entry::Record(b"\x01\x02"),
        Entry::Seed(b""),
        Entry::Tick(Moment { at: 1, boot: 2, wall: -3 }),
        Entry::Cgroup { id: 7, path: Cow::Borrowed("/kubepods") },
        Entry::Lost(8),
        Entry::End(End::Limit),
    ];
    entries.extend(facts.iter().map(|event| Entry::Fact(Cow::Borrowed(event))));
    entries
}

#[test]
fn entries_are_read_as_they_were_written() {
    let facts = facts();
    // And a poller that could not look, which is no fact that is counted.
    assert_eq!(facts.len(), Fact::LABELS.len() + 1, "every kind of fact");
    for entry in entries(&facts) {
        let mut bytes = Vec::new();
        entry.append(&mut bytes);
        assert_eq!(Entry::read(&bytes).as_ref(), Some(&entry));
    }
}

/// A change of these bytes is a change of what [`VERSION`] means.
#[test]
fn facts_have_the_bytes_of_this_version() {
    let sums = facts().into_iter().map(|event| {
        let mut bytes = Vec::new();
        Entry::Fact(Cow::Owned(event)).append(&mut bytes);
        crc32fast::hash(&bytes)
    });
    assert_eq!(
        sums.collect::<Vec<_>>(),
        [
            301387228, 2592245049, 276137530, 1617418064, 2780883422, 395656681, 2966982190,
            1424694586
        ]
    );
}

#[test]
fn nonsense_is_no_entry() {
    for bytes in [&b""[..], &[8], &[255, 1, 2], &[3], &[4, 1], &[5, 1, 200, 1], &[7, 9], &[6, 1, 1]]
    {
        assert_eq!(Entry::read(bytes), None, "{bytes:?}");
    }
}

#[test]
fn a_frame_takes_no_more_memory_than_there_is_file() {
    let mut content = Vec::new();
    let huge = [&u32::MAX.to_le_bytes()[..], &[0; 4]].concat();
    assert_eq!(frame::read(&mut &huge[..], &mut content).unwrap(), Frame::Damaged);
    let length = u32::try_from(frame::LONGEST).unwrap().to_le_bytes();
    let long = [&length[..], &[0; 40]].concat();
    assert_eq!(frame::read(&mut &long[..], &mut content).unwrap(), Frame::CutShort);
    assert!(content.capacity() < 1_024);
}

#[test]
fn what_is_too_long_or_empty_is_taken_back() {
    let mut bytes = b"before".to_vec();
    assert!(!frame::append(&mut bytes, |to| to.resize(to.len() + frame::LONGEST + 1, 0)));
    assert!(!frame::append(&mut bytes, |_| ()));
    assert_eq!(bytes, b"before");
}
