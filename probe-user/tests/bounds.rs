//! A node gone mad for an hour: 100,000 processes, interfaces and cgroups, none seen twice. Memory
//! stays where it is, and what found no room is counted.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use probe_common::wire::kind;
use probe_user::sinks::Outlets;
use support::{SECOND, filter, link_gone, pipeline, refused_clone, socket, sum};

#[cfg(test)]
mod support;

/// Of each: processes, interfaces, cgroups.
const THINGS: u32 = 100_000;
const HOUR: u64 = 3_600 * SECOND;
/// What a detector may keep: sockets, the most numerous, are 65,536.
const MOST_TRACKED: u64 = 65_536;
/// Findings that fire, findings that did, and incidents.
const MOST_IN_BOOK: u64 = 1_024 + 1_024 + 512;
/// What all of it may take (bytes).
const MOST_MEMORY: usize = 48 << 20;

/// Counts what is allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's layout, as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's memory and layout, as they came.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_hour_of_a_hundred_thousand_of_everything_stays_bounded() {
    let (mut pipeline, metrics) = pipeline();
    let before = LIVE.load(Relaxed);
    let mut next_tick = 0;
    for n in 0..THINGS {
        let now = SECOND + HOUR / u64::from(THINGS) * u64::from(n);
        pipeline.record(&refused_clone(n, now), &Outlets::NONE);
        pipeline.record(&filter(n, 0, now), &Outlets::NONE);
        pipeline.record(&filter(n, -libc::EEXIST, now), &Outlets::NONE);
        pipeline.record(&socket(n, kind::NETLINK_OPEN, now), &Outlets::NONE);
        if n % 100 == 0 {
            pipeline.record(&link_gone(n, now), &Outlets::NONE);
            pipeline.record(&socket(n, kind::NETLINK_CLOSE, now), &Outlets::NONE);
            pipeline.record(&socket(n / 2, kind::NETLINK_OWNER_EXIT, now), &Outlets::NONE);
        }
        // A tick comes late on such a node.
        if now >= next_tick {
            pipeline.tick(now, &Outlets::NONE);
            next_tick = now + 30 * SECOND;
            for signal in ["tc", "fork", "netlink"] {
                let series = format!("nodeprobe_tracked{{signal=\"{signal}\"}}");
                assert!(sum(&metrics, &series) <= MOST_TRACKED, "{signal}");
            }
            assert!(sum(&metrics, "nodeprobe_tracked{signal=\"findings\"}") <= MOST_IN_BOOK);
        }
    }
    let peak = PEAK.load(Relaxed) - before;
    println!("{} KiB at most, {} KiB now", peak / 1024, (LIVE.load(Relaxed) - before) / 1024);
    assert!(peak < MOST_MEMORY, "{peak} bytes");

    let events = 4 * u64::from(THINGS) + 3 * u64::from(THINGS / 100);
    assert_eq!(sum(&metrics, "nodeprobe_events_total"), events, "none is lost");
    for signal in ["tc", "netlink", "findings"] {
        let series = format!("nodeprobe_evicted_total{{signal=\"{signal}\"}}");
        assert!(sum(&metrics, &series) > 0, "{signal} counts what it forgot");
    }
    assert!(sum(&metrics, "nodeprobe_findings_dropped_total") > 0, "the book was full");

    pipeline.tick(2 * HOUR, &Outlets::NONE);
    pipeline.tick(3 * HOUR, &Outlets::NONE);
    assert_eq!(sum(&metrics, "nodeprobe_findings_firing"), 0, "all is over");
    assert_eq!(sum(&metrics, "nodeprobe_tracked{signal=\"findings\"}"), 0, "and forgotten");
}
