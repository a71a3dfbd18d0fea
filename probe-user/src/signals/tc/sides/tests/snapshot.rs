//! What a snapshot found, and what happened before, during and after it.

use super::*;

#[test]
fn a_mismatch_older_than_the_agent_is_found() {
    let mut link = Link(bench());
    link.seed(SECOND, &[(INGRESS, 2), (EGRESS, 1)]);
    link.quiet_until(5 * MINUTE);
    for n in 0..6 {
        link.replace(5 * MINUTE + n * SECOND, INGRESS, 2);
    }
    let said = link.says(5 * MINUTE + 10 * SECOND);
    assert_eq!(said[0].handles, [2, 1]);
    assert!(said[0].egress.is_none(), "nobody was seen to write it");
}

/// A snapshot tells of a moment that is past when it comes.
#[test]
fn a_snapshot_and_what_happened_meanwhile_are_put_in_order() {
    const LOOK: BootNs = 10 * SECOND;
    let writes_go_on = |link: &mut Link| {
        for n in 20..100 {
            link.replace(n * SECOND, EGRESS, 1);
        }
        link.says(100 * SECOND).first().map(|said| said.handles.clone())
    };
    let found = [(INGRESS, 2), (EGRESS, 1)];
    let mut before = Link(bench());
    before.swap(LOOK - SECOND, INGRESS, 1);
    before.seed(LOOK, &found);
    assert_eq!(writes_go_on(&mut before), Some(vec![2, 1]), "it is in the snapshot");

    let mut after = Link(bench());
    after.swap(LOOK + SECOND, INGRESS, 2);
    after.seed(LOOK, &found);
    assert_eq!(writes_go_on(&mut after), None, "mended since: (1, 1)");

    let mut late = Link(bench());
    late.seed(LOOK, &found);
    late.delete(LOOK - 1, INGRESS, 1);
    assert_eq!(writes_go_on(&mut late), Some(vec![2, 1]), "older, read later");

    for late in [false, true] {
        let mut meanwhile = Link(bench());
        if late {
            meanwhile.seed(LOOK, &found);
        }
        meanwhile.replace(LOOK + 500_000, INGRESS, 2);
        if !late {
            meanwhile.seed(LOOK, &found);
        }
        assert_eq!(writes_go_on(&mut meanwhile), None, "may be in it or not");
    }

    let mut deleted = Link(bench());
    deleted.clsact(LOOK + SECOND, Operation::Delete);
    deleted.seed(LOOK, &found);
    assert_eq!(writes_go_on(&mut deleted), None, "what was deleted does not come back");

    let mut busy = Link(bench());
    for n in 0..9 {
        busy.replace(LOOK + SECOND + n, EGRESS, 1);
    }
    busy.seed(LOOK, &found);
    assert_eq!(writes_go_on(&mut busy), None, "not all of it is known any more");
}

#[test]
fn filters_that_piled_up_before_the_agent_are_found() {
    let leak = |filters: u16| {
        let mut link = Link(bench());
        for prio in (0..filters).map(|n| 49_152 - n) {
            link.seeded(SECOND, TcRequest { prio, ..at_parent(Operation::Write, INGRESS, 1) });
        }
        link.seed(SECOND, &[]);
        link.0.tick(2 * SECOND).iter().map(|condition| condition.rule.name).collect::<Vec<_>>()
    };
    assert_eq!(leak(3), [""; 0]);
    assert_eq!(leak(4), ["tc-prio-leak"]);
}

#[test]
fn a_second_look_tells_what_the_first_could_not() {
    let mut link = Link(bench());
    link.replace(10 * SECOND + 500_000, INGRESS, 2);
    link.seed(10 * SECOND, &[(INGRESS, 2), (EGRESS, 1)]);
    link.seed(12 * SECOND, &[(INGRESS, 2), (EGRESS, 1)]);
    // What is known by then is left alone.
    link.seed(14 * SECOND, &[(INGRESS, 1), (EGRESS, 1)]);
    for n in 20..100 {
        link.replace(n * SECOND, EGRESS, 1);
    }
    assert_eq!(link.says(100 * SECOND)[0].handles, [2, 1]);
}
