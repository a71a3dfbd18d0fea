use super::*;

fn add(prio: u16, handle: u32) -> Change {
    Change {
        operation: Operation::Write,
        prio,
        handle,
        exclusive: true,
        bpf: Some(true),
        assumed: false,
        settled: false,
    }
}

fn replace(prio: u16, handle: u32) -> Change {
    Change { exclusive: false, ..add(prio, handle) }
}

fn delete(prio: u16, handle: u32) -> Change {
    Change { operation: Operation::Delete, ..add(prio, handle) }
}

fn empty() -> Side {
    let mut side = Side::default();
    side.clear();
    side
}

/// Priority and handle that each write got.
fn written(changes: &[Change]) -> Vec<Option<(u16, u32)>> {
    let mut side = empty();
    changes.iter().map(|change| side.apply(*change, 1)).collect()
}

#[test]
fn the_kernel_chooses_the_lowest_free_handle() {
    assert_eq!(
        written(&[add(7, 0), add(7, 0), delete(7, 1), add(7, 0), add(7, 9), add(7, 0)]),
        [Some((7, 1)), Some((7, 2)), None, Some((7, 1)), Some((7, 9)), Some((7, 3))]
    );
}

#[test]
fn a_replace_with_a_handle_stays_and_one_without_adds() {
    assert_eq!(
        written(&[replace(7, 1), replace(7, 1), replace(7, 0)]),
        [Some((7, 1)), Some((7, 1)), Some((7, 2))]
    );
}

#[test]
fn the_kernel_chooses_ever_lower_priorities() {
    assert_eq!(
        written(&[add(0, 0), add(0, 0), delete(49_152, 0), add(0, 0), add(1, 0)]),
        [Some((49_152, 1)), Some((49_151, 1)), None, Some((49_150, 1)), Some((1, 1))]
    );
}

#[test]
fn the_last_filter_takes_its_priority_along() {
    let mut side = empty();
    side.apply(add(7, 0), 1);
    side.apply(delete(7, 1), 1);
    assert_eq!(side.at(7), Presence::Absent);
    side.apply(add(7, 0), 1);
    side.apply(add(7, 0), 1);
    assert_eq!(side.at(7), Presence::Several);
    side.apply(delete(7, 0), 1);
    assert_eq!(side.at(7), Presence::Absent);
    side.apply(add(7, 0), 1);
    side.apply(add(8, 0), 1);
    side.apply(delete(0, 0), 1);
    assert_eq!((side.at(7), side.at(8)), (Presence::Absent, Presence::Absent));
}

#[test]
fn what_does_not_fit_means_that_something_was_missed() {
    let other = |change| Change { bpf: Some(false), ..change };
    for changes in [
        vec![delete(7, 1)],
        vec![add(7, 0), delete(7, 2)],
        vec![add(7, 1), add(7, 1)],
        vec![add(7, 0), other(add(7, 0))],
        vec![other(add(7, 0)), add(7, 0)],
        vec![other(add(49_152, 0)), other(delete(49_152, 1))],
        (1..=33).map(|prio| add(prio, 0)).collect(),
        (1..=33).map(|_| add(7, 0)).collect(),
    ] {
        let mut side = empty();
        for change in &changes {
            side.apply(*change, 1);
        }
        assert!(!side.is_known(), "{changes:?}");
        assert_eq!(side.at(7), Presence::Unclear);
    }
}

#[test]
fn other_kinds_only_take_their_priority() {
    let mut side = empty();
    let other = |change| Change { bpf: Some(false), ..change };
    assert_eq!(side.apply(other(add(0, 0)), 1), None);
    assert_eq!(side.at(49_152), Presence::Unclear);
    assert_eq!(side.apply(add(0, 0), 1), Some((49_151, 1)));
}

#[test]
fn a_snapshot_names_no_handles_and_shows_what_piled_up() {
    let mut side = Side::default();
    side.seed([add(49_150, 1), add(49_152, 2), add(49_151, 1), add(3, 1), add(40_000, 1)]);
    assert_eq!(side.at(49_152), Presence::One(Handle { number: 2, named: false }));
    assert_eq!(side.longest_descent(), 3);
    side.seed([]);
    assert_eq!((side.at(49_152), side.longest_descent()), (Presence::Absent, 0));
}

#[test]
fn the_last_of_many_says_what_is_there_whatever_was_before() {
    let mut side = empty();
    for change in [add(7, 1), add(7, 1).settled(), delete(8, 1).settled(), delete(7, 2).settled()] {
        side.apply(change, 1);
        assert_eq!(side.at(7), Presence::One(Handle { number: 1, named: true }));
    }
    side.apply(delete(7, 1).settled(), 2);
    assert_eq!(side.at(7), Presence::Absent);
    side.apply(add(7, 0).settled(), 3);
    assert!(!side.is_known(), "which handle the kernel chose depends on what went before");
}
