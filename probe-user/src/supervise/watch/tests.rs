use super::*;

const SECOND: u64 = 1_000_000_000;
const TEN: Turns = Turns { within: Duration::from_secs(10), vital: false };

fn watch() -> (Watch, Heartbeat) {
    let (mut watch, beat) = (Watch::default(), Heartbeat::default());
    watch.add("loop", TEN, beat.clone());
    beat.turn();
    watch.tick(0);
    (watch, beat)
}

fn age(watch: &Watch) -> Duration {
    watch.states().next().unwrap().age
}

#[test]
fn getting_stuck_and_turning_again_are_told_once() {
    let (mut watch, beat) = watch();
    let told: Vec<Change> = (1..=30).flat_map(|second| watch.tick(second * SECOND)).collect();
    let (name, vital) = ("loop", false);
    assert_eq!(told, [Change::Stuck { name, age: Duration::from_secs(10), vital }]);
    assert_eq!(told[0].to_string(), "stuck: loop has not turned for 10 s; the rest goes on");
    beat.turn();
    let told = watch.tick(31 * SECOND);
    assert_eq!(told, [Change::TurnsAgain { name, age: Duration::from_secs(30) }]);
    assert_eq!(told[0].to_string(), "loop turns again, after 30 s");
    assert_eq!(watch.tick(32 * SECOND), []);
}

#[test]
fn a_vital_loop_says_what_follows() {
    let change = Change::Stuck { name: "pollers", age: Duration::from_secs(60), vital: true };
    assert!(change.to_string().contains("/livez answers 503"), "{change}");
}

#[test]
fn a_loop_that_turns_is_never_stuck() {
    let (mut watch, beat) = watch();
    for second in 1..100 {
        beat.turn();
        assert_eq!(watch.tick(second * SECOND), []);
        assert_eq!(age(&watch), Duration::ZERO);
    }
}

#[test]
fn a_pause_of_the_whole_agent_is_no_loop_s_fault() {
    let (mut watch, beat) = watch();
    let hour = 3_600 * SECOND;
    assert_eq!(watch.tick(hour), [], "suspended for an hour");
    assert_eq!(age(&watch), Duration::from_secs(2));
    assert_eq!(watch.tick(0), [], "a clock that goes backwards");
    assert_eq!(age(&watch), Duration::from_secs(2));
    beat.turn();
    assert_eq!(watch.tick(hour), []);
    assert_eq!(age(&watch), Duration::ZERO);
}

#[test]
fn waiting_for_work_is_not_being_stuck() {
    let (mut watch, beat) = watch();
    beat.rest();
    assert!((1..100).all(|second| watch.tick(second * SECOND).is_empty()));
    beat.turn();
    assert!(watch.tick(100 * SECOND).is_empty());
    let stuck: Vec<u64> =
        (101..130).filter(|second| !watch.tick(second * SECOND).is_empty()).collect();
    assert_eq!(stuck, [110], "ten seconds after its work began");
}
