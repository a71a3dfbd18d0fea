//! Whatever a node does, it has few series: labels come from lists inside the agent.

use probe_common::wire::kind;
use probe_user::{
    config::sinks::MOST as MOST_SINKS,
    metrics::{
        Metrics,
        catalog::{self, MOST_SERIES},
    },
    sinks::{Outlets, filter::Filter, queue::queue},
};
use support::{SECOND, filter, link_gone, pipeline, refused_clone, socket, sum};

#[cfg(test)]
mod support;

/// Each is a process in a cgroup of its own, with an interface of its own.
const PODS: u32 = 10_000;

/// Series of a scrape.
#[cfg(test)]
fn series(metrics: &Metrics) -> Vec<String> {
    let text = String::from_utf8(metrics.encode().expect("encodes")).expect("UTF-8");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

#[test]
fn ten_thousand_pods_make_no_more_series_than_none() {
    let (mut pipeline, metrics) = pipeline();
    for n in 0..=MOST_SINKS {
        let name: &'static str = format!("sink-number-{n}").leak();
        let (_, inlet) = queue(name, Filter::default(), false, &metrics);
        drop(metrics.register_spool(name));
        inlet.took(std::time::Duration::from_millis(1));
    }
    metrics.observe_process();
    pipeline.tick(SECOND, &Outlets::NONE);
    let before = series(&metrics);
    for n in 0..PODS {
        let now = SECOND + u64::from(n) * SECOND / 100;
        for record in [
            refused_clone(n, now),
            filter(n, 0, now),
            filter(n, -libc::EEXIST, now),
            socket(n, kind::NETLINK_OPEN, now),
            link_gone(n, now),
            socket(n / 2, kind::NETLINK_OWNER_EXIT, now),
        ] {
            pipeline.record(&record, &Outlets::NONE);
        }
        if n % 1_000 == 0 {
            pipeline.tick(now, &Outlets::NONE);
        }
    }
    assert!(sum(&metrics, "nodeprobe_findings_total") > 0, "none of it was noticed");
    let after = series(&metrics);
    let new: Vec<_> = after.iter().filter(|series| !before.contains(series)).collect();
    assert!(new.is_empty(), "{new:?}");

    // What only the kernel side, or parts of the agent, make series of is bounded by the registry.
    let most: usize = catalog::all().map(catalog::Spec::series).sum();
    println!("{} series, at most {most}", after.len());
    assert!(after.len() <= most && most < MOST_SERIES, "{} series of {most}", after.len());
}
