//! Whose a network namespace is: the pod's that the oldest process in it belongs to, which is the
//! container that holds the pod's namespaces. An inode number is used again within seconds, so an
//! answer holds as long as the process that gave it is still there.

use std::num::NonZeroUsize;

use lru::LruCache;
use rustc_hash::FxHashMap;

use super::{
    cgroup::PidsHierarchy,
    identity::Identities,
    misses::Misses,
    process::proc::{KTHREADD, Proc},
    subject::{Identity, NetnsOwner},
};
use crate::{event::BootNs, scarce};

/// Owners remembered (a node has some hundred pods).
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1_023);

/// Namespaces of which processes are listed, and how many of each.
const MOST_NAMESPACES: usize = 4_096;
const MOST_MEMBERS: usize = 8;

/// Times in a second that processes are listed by namespace: some milliseconds each. In a storm of
/// findings an older list must do.
const LISTS_A_SECOND: u32 = 8;
const SECOND: BootNs = 1_000_000_000;

/// The process that tells whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Witness {
    pid: u32,
    started: BootNs,
}

/// Owners of network namespaces.
pub struct NetnsOwners {
    known: LruCache<u32, (Witness, NetnsOwner)>,
    /// The lowest pids in each namespace, and when they were listed.
    members: FxHashMap<u32, Vec<u32>>,
    listed_at: BootNs,
    /// Lists since the beginning of this second.
    lists: (BootNs, u32),
}

/// What the owners are read from.
pub struct Sources<'a> {
    pub proc: &'a Proc,
    pub hierarchy: Option<&'a PidsHierarchy>,
    pub identities: &'a mut Identities,
    pub misses: &'a mut Misses,
}

impl Default for NetnsOwners {
    fn default() -> Self {
        let known = LruCache::new(REMEMBERED);
        Self { known, members: FxHashMap::default(), listed_at: 0, lists: (0, 0) }
    }
}

impl NetnsOwners {
    /// The owner of the namespace that an event at `at` was in. A process that came later tells
    /// nothing: it may be in another namespace with the same number.
    pub fn owner(
        &mut self,
        netns: u32,
        at: BootNs,
        now: BootNs,
        sources: &mut Sources<'_>,
    ) -> Option<NetnsOwner> {
        // Without it, the pods that share the node's would own it.
        if sources.proc.netns(KTHREADD)? == netns {
            return Some(NetnsOwner::Host);
        }
        if let Some((witness, owner)) = self.known.get(&netns)
            && witness.started <= at
            && witness.is_still_in(netns, sources.proc)
        {
            return Some(owner.clone());
        }
        // A list from before the event may know another namespace by that number, or none.
        let stale = self.listed_at <= at || now.saturating_sub(self.listed_at) >= SECOND;
        if stale && self.may_list(now) {
            self.list(sources.proc);
            self.listed_at = now;
        }
        let members = self.members.get(&netns)?;
        // The oldest of those that could be read need not be the oldest.
        let (witness, owner) = scarce::whole(|| {
            let told = members.iter().filter_map(|pid| tell(*pid, netns, at, sources));
            told.min_by_key(|(witness, owner)| {
                (!matches!(owner, NetnsOwner::Pod(_)), witness.started)
            })
        })?;
        self.known.put(netns, (witness, owner.clone()));
        Some(owner)
    }

    fn may_list(&mut self, now: BootNs) -> bool {
        let (begun, lists) = &mut self.lists;
        if now.saturating_sub(*begun) >= SECOND {
            (*begun, *lists) = (now, 0);
        }
        *lists += 1;
        *lists <= LISTS_A_SECOND
    }

    fn list(&mut self, proc: &Proc) {
        self.members.clear();
        let mut pids = proc.pids();
        pids.sort_unstable();
        for pid in pids {
            let Some(netns) = proc.netns(pid) else { continue };
            if self.members.len() < MOST_NAMESPACES || self.members.contains_key(&netns) {
                let members = self.members.entry(netns).or_default();
                if members.len() < MOST_MEMBERS {
                    members.push(pid);
                }
            }
        }
    }
}

impl Witness {
    fn is_still_in(&self, netns: u32, proc: &Proc) -> bool {
        proc.netns(self.pid) == Some(netns)
            && proc.stat(self.pid).is_ok_and(|stat| stat.started == self.started)
    }
}

/// What a process says of whose its namespace is, if it was there at the time.
fn tell(
    pid: u32,
    netns: u32,
    at: BootNs,
    sources: &mut Sources<'_>,
) -> Option<(Witness, NetnsOwner)> {
    let started = sources.proc.stat(pid).ok()?.started;
    let witness = Witness { pid, started };
    let path = sources.hierarchy?.path_in(&sources.proc.cgroups(pid)?)?;
    // Asked last: what was read is of that process, and of that namespace.
    if started > at || !witness.is_still_in(netns, sources.proc) {
        return None;
    }
    let owner = match sources.identities.of_path_again(&path, sources.misses) {
        Identity { pod: Some(pod), .. } => NetnsOwner::Pod(pod),
        Identity { container: Some(container), .. } => NetnsOwner::Container(container),
        Identity { .. } => return None,
    };
    Some((witness, owner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::{subject::Pod, testing::Tree};

    const UID: &str = "1f3a9c52-7d4e-4b21-9a0c-5e6f7a8b9c0d";
    const OTHER: &str = "2f3a9c52-7d4e-4b21-9a0c-5e6f7a8b9c0d";
    const HOST: u32 = 100;

    struct Bench {
        tree: Tree,
        owners: NetnsOwners,
        identities: Identities,
    }

    impl Bench {
        fn new() -> Self {
            let tree = Tree::new("netns");
            tree.process(2, "kthreadd", 0, 0, HOST, "/");
            tree.process(9, "kubelet", 1, 50, HOST, "/system.slice/kubelet.service");
            tree.process(60, "tcpdump", 9, 120, 200, "/user.slice");
            tree.process(70, "app", 9, 300, 200, &format!("/kubepods/pod{OTHER}"));
            tree.process(80, "pause", 9, 200, 200, &format!("/kubepods/pod{UID}"));
            let identities = Identities::new(tree.root());
            Self { tree, owners: NetnsOwners::default(), identities }
        }

        /// Uid of the pod that owns a namespace in an event, both times in seconds.
        fn owner(&mut self, netns: u32, at: u64, now: u64) -> Option<String> {
            let (proc, hierarchy) = (self.tree.proc(), crate::enrich::testing::hierarchy());
            let mut sources = Sources {
                proc: &proc,
                hierarchy: hierarchy.as_ref(),
                identities: &mut self.identities,
                misses: &mut Misses::default(),
            };
            match self.owners.owner(netns, at * SECOND, now * SECOND, &mut sources)? {
                NetnsOwner::Host => Some("host".into()),
                NetnsOwner::Pod(Pod { uid, .. }) => Some(uid),
                NetnsOwner::Container(container) => Some(container.id),
            }
        }
    }

    #[test]
    fn the_oldest_process_of_a_pod_says_whose_it_is() {
        let mut bench = Bench::new();
        assert_eq!(bench.owner(200, 10, 10).as_deref(), Some(UID));
        assert_eq!(bench.owner(HOST, 10, 10).as_deref(), Some("host"));
        assert_eq!(bench.owner(300, 10, 10), None);
    }

    #[test]
    fn a_process_that_came_later_says_nothing() {
        let mut bench = Bench::new();
        assert_eq!(bench.owner(200, 1, 10), None);
        assert_eq!(bench.owner(200, 2, 10).as_deref(), Some(UID));
    }

    #[test]
    fn a_number_used_again_is_another_namespace() {
        let mut bench = Bench::new();
        assert_eq!(bench.owner(200, 10, 10).as_deref(), Some(UID));
        for pid in ["60", "70", "80"] {
            bench.tree.remove(pid);
        }
        assert_eq!(bench.owner(200, 20, 20), None);
        bench.tree.process(80, "pause", 9, 3_000, 200, &format!("/kubepods/pod{OTHER}"));
        assert_eq!(bench.owner(200, 40, 40).as_deref(), Some(OTHER));
        assert_eq!(bench.owner(200, 20, 40), None, "an event of the one before");
    }

    #[test]
    fn without_the_nodes_own_nobody_owns_any() {
        let mut bench = Bench::new();
        bench.tree.remove("2");
        assert_eq!(bench.owner(HOST, 10, 10), None);
        assert_eq!(bench.owner(200, 10, 10), None);
    }

    #[test]
    fn a_namespace_younger_than_the_list_is_found() {
        let mut bench = Bench::new();
        assert_eq!(bench.owner(200, 10, 10).as_deref(), Some(UID));
        bench.tree.process(90, "pause", 9, 990, 300, &format!("/kubepods/pod{OTHER}"));
        assert_eq!(bench.owner(300, 10, 10).as_deref(), Some(OTHER));
        // Not without end in one second.
        (0..LISTS_A_SECOND).for_each(|_| drop(bench.owner(500, 10, 10)));
        bench.tree.process(91, "pause", 9, 990, 400, &format!("/kubepods/pod{OTHER}"));
        assert_eq!(bench.owner(400, 10, 10), None);
        assert_eq!(bench.owner(400, 10, 11).as_deref(), Some(OTHER));
    }

    #[test]
    fn lists_are_bounded() {
        let mut bench = Bench::new();
        (100..150).for_each(|pid| bench.tree.process(pid, "x", 1, 1, 400, "/"));
        bench.owners.list(&bench.tree.proc());
        assert_eq!(bench.owners.members[&400].len(), MOST_MEMBERS);
    }
}
