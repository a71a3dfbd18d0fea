//! Clocks that go back, leap or end: nothing panics, every event counts, and nothing that was said
//! at an impossible time stays for ever.

use probe_common::wire::kind;
use probe_user::sinks::Outlets;
use proptest::prelude::*;
use support::{SECOND, filter, link_gone, pipeline, refused_clone, socket, sum};

#[cfg(test)]
mod support;

const NOW: u64 = 7_200 * SECOND;
const DECADE: u64 = 10 * 365 * 86_400 * SECOND;

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => NOW..NOW + 100 * SECOND,
        1 => 0..NOW,
        1 => Just(0),
        1 => Just(NOW + DECADE),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_times_in_any_order(steps in prop::collection::vec((time(), 0u32..8, 0u32..4), 1..200)) {
        let (mut pipeline, metrics) = pipeline();
        let mut events = 0;
        for (at, what, n) in steps {
            let record = match what {
                0 => refused_clone(n, at),
                1 => filter(n, 0, at),
                2 => filter(n, -libc::EEXIST, at),
                3 => link_gone(n, at),
                4 => socket(n, kind::NETLINK_OPEN, at),
                5 => socket(n, kind::NETLINK_CLOSE, at),
                6 => socket(n, kind::NETLINK_OWNER_EXIT, at),
                _ => {
                    pipeline.tick(at, &Outlets::NONE);
                    continue;
                }
            };
            pipeline.record(&record, &Outlets::NONE);
            events += 1;
        }
        prop_assert_eq!(sum(&metrics, "nodeprobe_events_total"), events);

        // The clock is sane again: so is the agent.
        let fired = sum(&metrics, "nodeprobe_findings_total{rule=\"fork-failures\"");
        pipeline.record(&refused_clone(99, NOW), &Outlets::NONE);
        prop_assert_eq!(sum(&metrics, "nodeprobe_findings_total{rule=\"fork-failures\""), fired + 1);
        for minutes in [0, 20, 40, 60] {
            pipeline.tick(NOW + minutes * 60 * SECOND, &Outlets::NONE);
        }
        prop_assert_eq!(sum(&metrics, "nodeprobe_findings_firing"), 0);
    }
}
