use super::*;
use crate::{
    enrich::testing::Tree,
    signals::testing::{SECOND, comm},
};

struct Bench {
    tree: Tree,
    processes: Processes,
    misses: Misses,
}

impl Bench {
    /// runit's supervisor, calico-node (started in the 2nd second) and its tc (in the 10th).
    fn new() -> Self {
        let tree = Tree::new("processes");
        tree.process(1, "init", 0, 0, 1, "/");
        tree.process(30, "runsv", 1, 100, 1, "/");
        tree.process(40, "calico-node", 30, 200, 1, "/");
        tree.process(50, "tc", 40, 1_000, 1, "/");
        let processes = Processes::new(tree.proc(), true);
        Self { tree, processes, misses: Misses::default() }
    }

    fn remember(&mut self, pid: u32, at: u64) {
        self.processes.remember(pid, at * SECOND, at * SECOND, &mut self.misses);
    }

    fn describe(&mut self, pid: u32, at: u64) -> Process {
        self.describe_child_of(pid, at, None)
    }

    fn describe_child_of(&mut self, pid: u32, at: u64, parent: Option<u32>) -> Process {
        let context = Context { at: at * SECOND, pid, comm: comm("thread"), ..Context::default() };
        let parent = parent.map(|pid| (pid, comm("calico-node")));
        let clock = Clock::now();
        self.processes.describe(&context, parent, clock, &mut self.misses).unwrap()
    }

    fn misses(&self) -> u64 {
        self.misses.of(Lookup::Process)
    }
}

fn name(parent: Option<&Parent>) -> Option<(u32, &str)> {
    parent.and_then(|parent| Some((parent.pid, parent.comm.as_deref()?)))
}

#[test]
fn a_living_process_is_told_with_its_ancestors() {
    let mut bench = Bench::new();
    let tc = bench.describe(50, 11);
    assert_eq!((tc.comm.as_deref(), tc.exe.as_deref()), (Some("thread"), Some("/bin/tc")));
    assert_eq!(tc.cmdline.as_deref(), Some("tc --token=*** -v"));
    assert_eq!(name(tc.parent.as_ref()), Some((40, "calico-node")));
    assert_eq!(name(tc.grandparent.as_ref()), Some((30, "runsv")));
    assert!(tc.started.is_some() && !tc.exited);
    assert_eq!(bench.misses(), 0);
}

#[test]
fn a_dead_process_is_remembered() {
    let mut bench = Bench::new();
    bench.remember(50, 11);
    bench.tree.remove("50");
    let tc = bench.describe(50, 12);
    assert_eq!((tc.exe.as_deref(), tc.exited), (Some("/bin/tc"), true));
    assert_eq!(name(tc.grandparent.as_ref()), Some((30, "runsv")));
    let too_late = bench.describe(50, 30);
    assert_eq!((too_late.exe, too_late.exited), (None, true));
}

#[test]
fn a_dead_tc_still_has_its_agent() {
    let mut bench = Bench::new();
    bench.remember(40, 11);
    for dead in ["50", "40"] {
        bench.tree.remove(dead);
        let tc = bench.describe_child_of(50, 12, Some(40));
        assert_eq!((tc.exe.as_deref(), tc.exited), (None, true));
        assert_eq!(name(tc.parent.as_ref()), Some((40, "calico-node")));
        assert_eq!(name(tc.grandparent.as_ref()), Some((30, "runsv")));
    }
}

#[test]
fn a_successor_is_never_named() {
    let mut bench = Bench::new();
    bench.tree.process(50, "nginx", 1, 2_000, 1, "/");
    let tc = bench.describe(50, 15);
    assert_eq!((tc.pid, tc.comm.as_deref(), tc.exited), (50, Some("thread"), true));
    assert_eq!((&tc.exe, &tc.cmdline, &tc.started, &tc.parent), (&None, &None, &None, &None));
    assert_eq!(bench.misses(), 1);
    assert_eq!(bench.describe(50, 25).exe.as_deref(), Some("/bin/nginx"));

    // Nor instead of the one it came after.
    let mut bench = Bench::new();
    bench.remember(50, 11);
    bench.tree.process(50, "nginx", 1, 1_400, 1, "/");
    assert_eq!(bench.describe(50, 12).exe.as_deref(), Some("/bin/tc"));
    bench.remember(50, 18);
    assert_eq!(bench.describe(50, 18).exe.as_deref(), Some("/bin/nginx"));
}

#[test]
fn what_cannot_be_read_has_not_ended() {
    let mut bench = Bench::new();
    bench.tree.file("50/stat", "nonsense");
    let tc = bench.describe(50, 11);
    assert_eq!((tc.exe, tc.exited), (None, false));
    assert_eq!(bench.misses(), 1);
}

#[test]
fn first_looks_and_memory_are_bounded() {
    let mut bench = Bench::new();
    for pid in 1_000..101_000 {
        bench.remember(pid, 11 + u64::from(pid) / 100_000);
    }
    assert!(bench.misses() <= 3 * u64::from(LOOKS_A_SECOND), "{}", bench.misses());
    for second in 20..200 {
        (0..100).for_each(|n| bench.remember(1_000_000 + second * 100 + n, second.into()));
    }
    assert_eq!(bench.processes.seen.len(), REMEMBERED.get());
    bench.remember(0, 1_000);
    assert!(bench.processes.seen.peek(&0).is_none());
}
