//! What the agent says when it is ready: what it sees, and what it does not.

use std::{collections::BTreeSet, time::Duration};

use crate::{kernel::capability::Capability, probe::coverage::Coverage, signals::SIGNALS};

/// One line that begins with `ready`, then one for each gap, then what can be done about the gaps.
#[must_use]
pub fn lines(coverage: &[Coverage], metrics: Option<&str>, took: Duration) -> Vec<String> {
    let metrics =
        metrics.map_or_else(|| "no metrics endpoint".into(), |url| format!("metrics on {url}"));
    let ready = format!("ready in {} ms: {}, {metrics}", took.as_millis(), rungs(coverage));
    let blind = coverage.iter().all(|covered| covered.rung.is_none());
    let blind = blind.then(|| {
        "NO hook is attached: only what is polled is seen (fds, and how near fork limits are)"
            .into()
    });
    let uncovered = coverage.iter().filter(|covered| !covered.is_covered());
    let todo: BTreeSet<String> = uncovered.flat_map(Coverage::todo).collect();
    std::iter::once(ready)
        .chain(blind)
        .chain(gaps(coverage))
        .chain(coverage.iter().filter_map(waiting))
        .chain(todo.into_iter().map(|todo| format!("to do: {todo}")))
        .collect()
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

/// A line for each capability that the agent was not given and would use.
pub fn missing(capabilities: &[Capability]) -> impl Iterator<Item = String> {
    capabilities.iter().map(|Capability { name, purpose, .. }| {
        format!("missing {name}: cannot {purpose}; add it to the service or container")
    })
}

/// A line for a hook that waits for its kernel module, which is no gap.
fn waiting(covered: &Coverage) -> Option<String> {
    let module = covered.pending()?;
    let (name, sees) = (covered.name(), covered.hook.sees);
    Some(format!(
        "waiting: {name}: the kernel module {module} is not loaded; when it is, this will see {sees}"
    ))
}

/// What to say of a hook whose kernel module came or went.
#[must_use]
pub fn changed(covered: &Coverage) -> String {
    match covered.rung {
        Some(rung) => {
            let module = covered.hook.module().unwrap_or_default();
            let (name, sees) = (covered.name(), covered.hook.sees);
            format!("attached: {name}: the kernel module {module} is loaded: {rung} sees {sees}")
        }
        None => waiting(covered).or_else(|| gap(covered)).unwrap_or_default(),
    }
}

/// Each signal with its rung.
fn rungs(coverage: &[Coverage]) -> String {
    let signals: Vec<String> = SIGNALS
        .iter()
        .map(|signal| {
            let mut hooks = coverage.iter().filter(|covered| covered.signal.name == signal.name);
            // The first hook of a signal is the one it lives by.
            let rung = hooks.next().map_or("none", Coverage::rung_name);
            format!("{}={}", signal.name, if signal.hooks.is_empty() { "polled" } else { rung })
        })
        .collect();
    signals.join(" ")
}

fn gap(covered: &Coverage) -> Option<String> {
    let name = covered.name();
    if !covered.is_covered() {
        let (sees, why) = (covered.hook.sees, covered.why());
        return Some(format!("not covered: {name}: cannot see {sees} ({why})"));
    }
    let misses = covered.misses();
    (!misses.is_empty()).then(|| format!("covered in part: {name}: does not see {misses}"))
}
