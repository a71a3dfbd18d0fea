//! What the agent says when it is ready: what it sees, and what it does not.

use std::{net::SocketAddr, time::Duration};

use crate::{probe::ladder::Coverage, signals::SIGNALS};

/// One line that begins with `ready`, then one for each gap.
#[must_use]
pub fn lines(coverage: &[Coverage], metrics: Option<SocketAddr>, took: Duration) -> Vec<String> {
    let metrics = metrics.map_or_else(
        || "no metrics endpoint".into(),
        |address| format!("metrics on http://{address}/metrics"),
    );
    let ready = format!("ready in {} ms: {}, {metrics}", took.as_millis(), rungs(coverage));
    std::iter::once(ready).chain(gaps(coverage)).collect()
}

/// One line for the service manager.
#[must_use]
pub fn status(coverage: &[Coverage]) -> String {
    let gaps = match gaps(coverage).count() {
        0 => "all covered".into(),
        1 => "1 gap, see the log".into(),
        more => format!("{more} gaps, see the log"),
    };
    format!("{}; {gaps}", rungs(coverage))
}

/// A line for each hook that sees nothing, or not all.
pub fn gaps(coverage: &[Coverage]) -> impl Iterator<Item = String> {
    coverage.iter().filter_map(gap)
}

/// Each signal with its rung.
fn rungs(coverage: &[Coverage]) -> String {
    let signals: Vec<String> = SIGNALS
        .iter()
        .map(|signal| {
            let mut hooks = coverage.iter().filter(|covered| covered.signal.name == signal.name);
            // The first hook of a signal is the one it lives by.
            let rung = hooks.next().and_then(|covered| covered.rung);
            let name = match rung {
                _ if signal.hooks.is_empty() => "polled",
                Some(rung) => rung.name(),
                None => "none",
            };
            format!("{}={name}", signal.name)
        })
        .collect();
    signals.join(" ")
}

fn gap(covered: &Coverage) -> Option<String> {
    let name = format!("{}/{}", covered.signal.name, covered.hook.name);
    if !covered.is_covered() {
        let (sees, why) = (covered.hook.sees, covered.why());
        return Some(format!("not covered: {name}: cannot see {sees} ({why})"));
    }
    let misses = covered.misses();
    (!misses.is_empty()).then(|| format!("covered in part: {name}: does not see {misses}"))
}
