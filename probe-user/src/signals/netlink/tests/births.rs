use super::{bench, close, evidence, open, seed};
use crate::{
    enrich::subject::Subject,
    event::Body,
    findings::Condition,
    signals::{
        netlink::{
            NetlinkChange,
            birthplace::{Birth, merge},
        },
        testing::SECOND,
    },
    symbols::Site,
};

fn born(socket: u64, birth: Birth) -> Body {
    Body::Netlink(NetlinkChange::Opened { socket, protocol: 0, birth })
}

/// Share of the open sockets and birth, as the evidence shows them.
fn births(condition: &Condition) -> Vec<(u64, u64, Birth)> {
    let mut places = evidence(condition).birthplaces.clone();
    merge(&mut places);
    places.iter().map(|place| (place.open, place.percent, place.birth)).collect()
}

#[test]
fn the_three_birthplaces_with_most_open_sockets_are_shown() {
    let at = |id| Birth::Noted { stack: Ok(id), caller: 0 };
    let mut bench = bench();
    (0..8).for_each(|n| drop(bench.at(n, open(n))));
    (8..20).for_each(|n| drop(bench.at(n, born(n, at(1)))));
    (20..220).for_each(|n| drop(bench.at(n, born(n, at(2)))));
    (220..520).for_each(|n| drop(bench.at(n, born(n, at(3)))));
    let raised = bench.tick(SECOND);
    assert_eq!(births(&raised[0]), [(300, 57, at(3)), (200, 38, at(2)), (12, 2, at(1))]);
    (230..520).for_each(|n| drop(bench.at(n, close(n))));
    (600..1_100).for_each(|n| drop(bench.at(n, born(n, at(4)))));
    let raised = bench.tick(2 * SECOND);
    assert_eq!(births(&raised[0])[0], (500, 68, at(4)));
    assert_eq!(births(&raised[0])[2], (12, 1, at(1)), "10 of the closed ones are left");
}

#[test]
fn what_has_no_stack_says_why() {
    let mut bench = bench();
    (0..8).for_each(|n| drop(bench.at(n, open(n))));
    (8..100).for_each(|n| drop(bench.at(n, seed(n))));
    let collided = Birth::Noted { stack: Err(-libc::EEXIST), caller: 0 };
    (100..600).for_each(|n| drop(bench.at(n, born(n, collided))));
    let raised = bench.tick(SECOND);
    let seen = evidence(&raised[0]);
    let why: Vec<&str> =
        seen.birthplaces.iter().filter_map(|place| place.unreadable.as_deref()).collect();
    assert!(why[0].contains("another one in its place"), "{why:?}");
    assert_eq!(why[1], "open before the agent started");
    assert!(why[2].starts_with("among the first sockets"), "{why:?}");
    assert!(!seen.summary(&Subject::default()).contains("made in"));
}

#[test]
fn the_summary_names_the_innermost_function_of_the_first_place() {
    let mut bench = bench();
    let birth = Birth::Noted { stack: Ok(1), caller: 2 };
    (0..600).for_each(|n| drop(bench.at(n, born(n, birth))));
    let raised = bench.tick(SECOND);
    let mut seen = evidence(&raised[0]).clone();
    seen.birthplaces[0].frames = vec!["main.findHostMTU (mtu.go:88)".into(), "main.main".into()];
    let said = seen.summary(&Subject::default());
    assert!(said.ends_with("; 600 of them were made in main.findHostMTU (mtu.go:88)"), "{said}");
}

#[test]
fn stacks_with_the_same_frames_are_one_place() {
    let mut bench = bench();
    for (id, sockets) in [(1, 0..250), (2, 250..350), (3, 350..500), (4, 500..600)] {
        let birth = Birth::Noted { stack: Ok(id), caller: 0 };
        sockets.for_each(|n| drop(bench.at(n, born(n, birth))));
    }
    let raised = bench.tick(SECOND);
    let mut places = evidence(&raised[0]).birthplaces.clone();
    for (place, frame) in places.iter_mut().zip(["a", "b", "b", "c"]) {
        place.frames = vec![frame.into()];
    }
    merge(&mut places);
    let seen: Vec<_> = places.iter().map(|p| (p.open, p.frames[0].as_str())).collect();
    assert_eq!(seen, [(250, "a"), (250, "b"), (100, "c")]);
}

#[test]
fn one_caller_with_a_stack_a_call_is_one_place() {
    let mut bench = bench();
    let birth = |n: u64| Birth::Noted { stack: Ok(u32::try_from(n).unwrap()), caller: 7 };
    (0..600).for_each(|n| drop(bench.at(n, born(n, birth(n)))));
    let raised = bench.tick(SECOND);
    let mut places = evidence(&raised[0]).birthplaces.clone();
    for place in &mut places {
        (place.frames, place.unreadable) = (vec!["a".into()], Some("cut short".into()));
    }
    merge(&mut places);
    let seen: Vec<_> = places.iter().map(|place| (place.open, place.percent)).collect();
    assert_eq!(seen, [(600, 100)]);
}

#[test]
fn births_are_looked_up_by_process_stack_and_caller() {
    let site = |stack, caller| Birth::Noted { stack, caller }.site(7);
    assert_eq!(site(Ok(3), 9), Some(Site { pid: 7, stack: Some(3), caller: 9 }));
    assert_eq!(site(Err(-17), 9), Some(Site { pid: 7, stack: None, caller: 9 }));
    assert_eq!(site(Err(-17), 0), None);
    assert_eq!((Birth::Early.site(7), Birth::Older.site(7)), (None, None));
}
