//! Who has the most threads below a limit, at the moment a finding fires.
//!
//! A search from the limit's owner downwards that always opens the group with the most tasks next:
//! what it comes upon first that is not opened any further has more than anything left, so the
//! largest few are known after a few dozen reads, however many groups there are.

use std::{
    collections::BinaryHeap,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    cgroup::{self, PidsHierarchy, number_in},
    identity,
    subject::Identity,
};

/// Groups named.
const MOST_NAMED: usize = 5;
/// Groups read at most.
const MOST_READ: usize = 2_048;

/// The groups with the most threads below a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Consumers {
    /// At most five, the largest first.
    pub groups: Vec<Consumer>,
    /// Not all groups could be looked at: there may be larger ones.
    pub truncated: bool,
}

/// A container, or where there is none the innermost cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// Path below the hierarchy's mount point.
    pub path: String,
    /// What it belongs to.
    #[serde(flatten)]
    pub identity: Identity,
    /// Threads in it and below.
    pub threads: u64,
    /// Their share of all tasks below the limit (percent).
    pub share_percent: u64,
}

/// A group not opened yet, ordered by its tasks.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    tasks: u64,
    path: PathBuf,
    /// Nothing below it is looked at: tasks of an inner group itself, or a container's.
    closed: bool,
}

/// Those below `owner`, a path below the mount point. `total` is the number of tasks the limit counts.
#[must_use]
pub fn below(hierarchy: &PidsHierarchy, owner: &str, total: u64) -> Consumers {
    search(hierarchy.mount(), hierarchy.is_v1(), owner, total)
}

/// `inner_tasks`: groups that have others below them may hold tasks too, as they may on cgroup v1.
fn search(mount: &Path, inner_tasks: bool, owner: &str, total: u64) -> Consumers {
    let mut found = Consumers::default();
    let path = mount.join(owner.trim_start_matches('/'));
    let mut open = BinaryHeap::from([Group { tasks: total, path, closed: false }]);
    let mut read = 0;
    while found.groups.len() < MOST_NAMED
        && let Some(group) = open.pop()
    {
        found.truncated |= read > MOST_READ;
        let closed = group.closed || found.truncated;
        let inner = if closed { Vec::new() } else { inner(&group.path) };
        if inner.is_empty() {
            found.groups.extend(consumer(mount, &group, total));
            continue;
        }
        read += inner.len();
        // The root's own are nobody's.
        let inside: u64 = inner.iter().map(|inner| inner.tasks).sum();
        let own = group.tasks.saturating_sub(inside);
        open.extend(inner.into_iter().filter(|inner| inner.tasks > 0));
        if inner_tasks && own > 0 && group.path != mount {
            open.push(Group { tasks: own, closed: true, ..group });
        }
    }
    found
}

/// The groups right below a group.
fn inner(group: &Path) -> Vec<Group> {
    let groups = cgroup::children(group).into_iter().filter_map(|path| {
        let tasks = number_in(&path.join("pids.current"))?;
        let closed =
            identity::path::parse(&path.file_name()?.to_string_lossy()).container.is_some();
        Some(Group { tasks, path, closed })
    });
    groups.collect()
}

fn consumer(mount: &Path, group: &Group, total: u64) -> Option<Consumer> {
    let path = format!("/{}", group.path.strip_prefix(mount).ok()?.to_string_lossy());
    Some(Consumer {
        identity: identity::path::parse(&path),
        path,
        threads: group.tasks,
        share_percent: group.tasks.saturating_mul(100).checked_div(total).unwrap_or(0).min(100),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn group(mount: &Path, path: &str, tasks: u64) {
        let path = mount.join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("pids.current"), format!("{tasks}\n")).unwrap();
    }

    fn found(consumers: &Consumers) -> Vec<(&str, u64, u64)> {
        let of = |consumer: &Consumer| (consumer.threads, consumer.share_percent);
        let all = consumers.groups.iter();
        all.map(|consumer| (consumer.path.as_str(), of(consumer).0, of(consumer).1)).collect()
    }

    #[test]
    fn names_the_largest_leaves_and_stops_at_containers() {
        let hex = "0123456789abcdef".repeat(4);
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path();
        let container = format!("pods/a/cri-containerd-{hex}.scope");
        group(mount, "pods", 100);
        group(mount, "pods/a", 60);
        group(mount, &container, 55);
        group(mount, &format!("{container}/init"), 54);
        group(mount, "pods/b", 30);
        group(mount, "pods/b/x", 20);
        group(mount, "pods/b/y", 10);
        group(mount, "pods/empty", 0);
        group(mount, "other", 500);
        let consumers = search(mount, true, "/pods", 100);
        let container = format!("/{container}");
        assert_eq!(
            found(&consumers),
            [
                (container.as_str(), 55, 55),
                ("/pods/b/x", 20, 20),
                ("/pods/b/y", 10, 10),
                // Tasks in the inner groups themselves.
                ("/pods", 10, 10),
                ("/pods/a", 5, 5),
            ]
        );
        assert_eq!(consumers.groups[0].identity.container.as_ref().map(|c| &c.id), Some(&hex));
        assert!(!consumers.truncated);
        let on_v2 = search(mount, false, "/pods", 100);
        assert_eq!(found(&on_v2).len(), 3, "what is missing there has moved meanwhile");
    }

    #[test]
    fn from_the_root_its_own_tasks_are_no_group() {
        let mount = tempfile::tempdir().unwrap();
        group(mount.path(), "a", 3);
        group(mount.path(), "b", 4);
        let consumers = search(mount.path(), false, "/", 100);
        assert_eq!(found(&consumers), [("/b", 4, 4), ("/a", 3, 3)]);
    }

    #[test]
    fn a_leaf_is_its_own_consumer_and_what_is_gone_is_nobody_s() {
        let mount = tempfile::tempdir().unwrap();
        group(mount.path(), "leaf", 8);
        assert_eq!(found(&search(mount.path(), false, "/leaf", 8)), [("/leaf", 8, 100)]);
        let gone = search(mount.path(), false, "/gone", 8);
        assert_eq!(found(&gone), [("/gone", 8, 100)], "its number is known all the same");
    }

    #[test]
    fn thousands_of_groups_are_cut_short_and_said_to_be() {
        let mount = tempfile::tempdir().unwrap();
        for number in 0..MOST_READ + 1 {
            group(mount.path(), &format!("p/{number}"), 1);
        }
        group(mount.path(), "p", MOST_READ as u64 + 1);
        let consumers = search(mount.path(), false, "/p", 5_000);
        assert!(consumers.truncated);
        assert_eq!(consumers.groups.len(), MOST_NAMED, "some are better than none");
    }
}
