//! Tasks of every cgroup that has a limit on them.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{NAMES, Poller, of_node};
use crate::{
    enrich::cgroup::{PidsHierarchy, children, number_in},
    event::{BootNs, CgroupTasks, Event, Fact, LimitedCgroups},
    scarce,
};

/// Directories looked at in one look (a node has some hundred cgroups).
const MOST_CGROUPS: usize = 4_096;

/// Walks the hierarchy of the pids controller.
pub struct CgroupTasksPoller {
    every: Duration,
    root: Option<PathBuf>,
}

impl CgroupTasksPoller {
    /// Looks that often.
    pub fn new(every: Duration) -> Self {
        let root = PidsHierarchy::find().map(|hierarchy| hierarchy.mount().to_owned());
        Self { every, root }
    }
}

impl Poller for CgroupTasksPoller {
    fn name(&self) -> &'static str {
        NAMES[1]
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn look(&mut self, at: BootNs, facts: &mut Vec<Event>) {
        if let Some(root) = &self.root {
            // Half a tree would make inner groups leaves.
            let found = scarce::whole(|| Some(limited_below(root.clone(), MOST_CGROUPS)));
            facts.extend(found.map(|found| of_node(at, Fact::CgroupTasks(found))));
        }
    }
}

/// A directory of the hierarchy.
struct Directory {
    path: PathBuf,
    /// Index of the one it is in.
    parent: Option<usize>,
    tasks: Option<CgroupTasks>,
    height: u32,
}

/// Breadth first: where the room ends, the limits high up, which hurt most, are known. Groups that
/// vanish meanwhile are left out.
fn limited_below(root: PathBuf, most: usize) -> LimitedCgroups {
    let mut unvisited = 0;
    let mut all = vec![Directory { path: root, parent: None, tasks: None, height: 0 }];
    let mut next = 0;
    while let Some(directory) = all.get_mut(next) {
        directory.tasks = tasks(&directory.path);
        for path in children(&directory.path) {
            if all.len() < most {
                all.push(Directory { path, parent: Some(next), tasks: None, height: 0 });
            } else {
                unvisited += 1;
            }
        }
        next += 1;
    }
    // Parents come before what is in them.
    let mut limited = Vec::new();
    while let Some(directory) = all.pop() {
        let Directory { tasks, height, parent, .. } = directory;
        limited.extend(tasks.map(|tasks| CgroupTasks { height, ..tasks }));
        if let Some(parent) = parent.and_then(|parent| all.get_mut(parent)) {
            parent.height = parent.height.max(height + 1);
        }
    }
    LimitedCgroups { cgroups: limited, unvisited }
}

/// The numbers of a group that has a limit: the root and groups without say `max` or nothing.
fn tasks(path: &Path) -> Option<CgroupTasks> {
    let limit = number_in(&path.join("pids.max"))?;
    let current = number_in(&path.join("pids.current"))?;
    let id = fs::metadata(path).ok()?.ino();
    Some(CgroupTasks { id, current, limit, height: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(path: &Path, current: &str, limit: &str) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("pids.current"), current).unwrap();
        fs::write(path.join("pids.max"), limit).unwrap();
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        group(&root.path().join("kubepods"), "70\n", "100\n");
        group(&root.path().join("kubepods/pod"), "60\n", "max\n");
        group(&root.path().join("kubepods/pod/container"), "50\n", "80\n");
        group(&root.path().join("odd"), "", "12x\n");
        root
    }

    #[test]
    fn finds_limits_at_every_level_and_how_deep_it_goes_below() {
        let root = tree();
        let mut found = limited_below(root.path().to_owned(), 100);
        found.cgroups.sort_by_key(|group| group.limit);
        let numbers = |group: &CgroupTasks| (group.current, group.limit, group.height);
        let numbers: Vec<_> = found.cgroups.iter().map(numbers).collect();
        assert_eq!(numbers, [(50, 80, 0), (70, 100, 2)]);
        assert_eq!(found.unvisited, 0);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let root = tree();
        let found = limited_below(root.path().to_owned(), 2);
        assert_eq!((found.cgroups.len() <= 1, found.unvisited), (true, 1), "{found:?}");
        assert_eq!(limited_below("/nowhere".into(), 2), LimitedCgroups::default());
    }
}
