use super::*;
use crate::signals::testing::comm;

fn agent(name: &str) -> Agent {
    Agent { pid: u32::from(name.as_bytes()[0]), comm: comm(name), started: None }
}

fn some(name: &str) -> Option<Agent> {
    Some(agent(name))
}

fn at(place: Place) -> Written {
    Written { place, handle: None, exclusive: false, replaced: None }
}

fn filter(prio: u16, handle: u32) -> Written {
    Written { handle: (handle != 0).then_some(handle), ..at(Place::Priority(prio)) }
}

#[test]
fn only_a_strangers_removal_has_a_victim() {
    let mut owners = Owners::default();
    owners.attach(filter(1, 0), some("cilium-agent"), 10);
    owners.attach(filter(2, 0), some("system-probe"), 20);
    let second = Removed::One(Place::Priority(2));
    assert_eq!(owners.remove(second, some("system-probe")), None, "its own");
    assert_eq!(owners.remove(second, some("system-probe")), None, "gone");
    let victim = owners.remove(Removed::All, some("system-probe")).expect("a victim");
    assert_eq!((victim.agent, victim.at), (agent("cilium-agent"), 10));
    assert_eq!(owners.remove(Removed::All, some("system-probe")), None);
}

#[test]
fn an_agent_that_swaps_its_filters_stays_the_owner() {
    for handles in [[0, 0], [1, 2]] {
        let mut owners = Owners::default();
        for handle in handles {
            assert_eq!(owners.attach(filter(1, handle), some("calico-node"), 10), None);
        }
        assert_eq!(owners.remove(Removed::OneFilter(1, 1), some("calico-node")), None);
        let victim = owners.remove(Removed::OneFilter(1, 2), some("tracee")).expect("one");
        assert_eq!(victim.agent, agent("calico-node"));
    }
}

#[test]
fn a_removal_by_handle_hits_that_filters_owner() {
    let mut owners = Owners::default();
    owners.attach(filter(1, 1), some("cilium-agent"), 10);
    owners.attach(filter(1, 2), some("system-probe"), 20);
    assert_eq!(owners.remove(Removed::OneFilter(1, 2), some("system-probe")), None);
    assert_eq!(owners.remove(Removed::OneFilter(1, 3), some("system-probe")), None);
    let victim = owners.remove(Removed::OneFilter(1, 1), some("system-probe")).expect("one");
    assert_eq!(victim.agent, agent("cilium-agent"));
}

#[test]
fn an_overwrite_has_a_victim_and_a_filter_beside_has_none() {
    let mut owners = Owners::default();
    assert_eq!(owners.attach(filter(1, 1), some("cilium-agent"), 10), None);
    assert_eq!(owners.attach(filter(1, 2), some("system-probe"), 20), None, "beside it");
    assert_eq!(owners.attach(filter(2, 1), some("system-probe"), 20), None, "elsewhere");
    assert_eq!(owners.attach(filter(1, 0), some("system-probe"), 20), None, "not known where");
    assert_eq!(owners.attach(filter(1, 1), some("cilium-agent"), 30), None, "its own");
    let added = Written { exclusive: true, ..filter(1, 1) };
    assert_eq!(owners.attach(added, some("tracee"), 40), None, "it was gone, unseen");
    let victim = owners.attach(filter(1, 1), some("cilium-agent"), 50).expect("a victim");
    assert_eq!((victim.agent, victim.at), (agent("tracee"), 40));
}

#[test]
fn a_program_in_anothers_place_has_a_victim() {
    let replacing = Written { exclusive: true, replaced: Some(Place::Program(1)), ..program(2) };
    let cases = [
        (at(Place::Only), at(Place::Only)),
        (at(Place::Link(1)), at(Place::Link(1))),
        (program(1), replacing),
    ];
    for (first, second) in cases {
        let mut owners = Owners::default();
        assert_eq!(owners.attach(first, some("cilium-agent"), 10), None);
        assert_eq!(owners.attach(first, some("cilium-agent"), 20), None, "its own");
        let victim = owners.attach(second, some("tracee"), 30).expect("a victim");
        assert_eq!((victim.agent, victim.at), (agent("cilium-agent"), 20), "{second:?}");
        assert_eq!(owners.0.len(), 1, "{second:?}");
    }
}

fn program(id: u32) -> Written {
    Written { exclusive: true, ..at(Place::Program(id)) }
}

#[test]
fn programs_beside_each_other_have_no_victim() {
    let mut owners = Owners::default();
    owners.attach(program(1), some("cilium-agent"), 10);
    assert_eq!(owners.attach(program(2), some("tracee"), 20), None);
    assert_eq!(owners.attach(at(Place::Link(1)), some("hubble"), 30), None);
    assert_eq!(owners.attach(at(Place::Unknown), some("felix"), 40), None);
    assert_eq!(owners.remove(Removed::One(Place::Unknown), some("tracee")), None);
    assert_eq!(owners.attach(program(1), some("tracee"), 50), None, "it was gone, unseen");
}

#[test]
fn a_process_id_that_is_used_again_is_another_agent() {
    let of = |name, started| Agent { pid: 7, comm: comm(name), started: Some(started) };
    assert!(of("felix", 1).is(&of("calico-node", 1)), "a thread of it");
    assert!(of("felix", 1).is(&of("felix", 2)), "a restart");
    assert!(!of("felix", 1).is(&of("tracee", 2)));
}

#[test]
fn a_tool_whose_starter_has_ended_is_nobodys() {
    let mut owners = Owners::default();
    owners.attach(filter(1, 1), some("calico-node"), 10);
    assert_eq!(owners.attach(filter(1, 1), None, 20), None);
    assert_eq!(owners.attach(filter(1, 1), some("calico-node"), 30), None, "still its own");
    assert_eq!(owners.remove(Removed::All, None), None);
    assert_eq!(owners.remove(Removed::All, some("tracee")), None, "gone");
}

#[test]
fn owners_are_bounded() {
    let mut owners = Owners::default();
    for prio in 0..100 {
        owners.attach(filter(prio, 0), some("a"), u64::from(prio));
    }
    assert_eq!(owners.0.len(), MOST_OWNERS);
}
