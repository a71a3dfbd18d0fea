//! Waits for the RTNL mutex that are not over: hooks tell of a wait when it ends, and one may not.

use std::{fs, time::Duration};

use aya::maps::{HashMap, MapData};
use probe_common::rtnl::RtnlWaiting;

use super::{NAMES, Poller, of_node};
use crate::{
    event::{BootNs, Comm, Event, Fact},
    scarce,
    signals::rtnl::{Party, Wait, WaitingNow},
};

/// Shortest wait that is worth a fact (ns).
const LEAST: u64 = 1_000_000_000;
/// Age of an entry whose thread no longer waits: the kernel left its end out (ns).
const STALE: u64 = 60_000_000_000;

/// A value of the map.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Entry(RtnlWaiting);

// SAFETY: integers and arrays of integers without implicit padding; any bytes are valid.
unsafe impl aya::Pod for Entry {}

/// The kernel side's waits that have begun, by process and thread id.
pub type WaitingMap = HashMap<MapData, u64, Entry>;

/// Looks for tasks that have waited for long.
pub struct RtnlPoller(pub WaitingMap);

impl Poller for RtnlPoller {
    fn name(&self) -> &'static str {
        NAMES[3]
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn look(&mut self, at: BootNs, facts: &mut Vec<Event>) {
        let (mut waits, mut stale) = (Vec::new(), Vec::new());
        for (key, Entry(entry)) in self.0.iter().filter_map(Result::ok) {
            let waited = at.saturating_sub(entry.began_ns);
            if waited < LEAST {
                continue;
            }
            match is_blocked(key) {
                Some(true) => waits.push((waited, key, entry.holder)),
                Some(false) if waited >= STALE => stale.push(key),
                _ => {}
            }
        }
        for key in stale {
            // Gone by itself is as good.
            let _ = self.0.remove(&key);
        }
        let Some((waited_ns, key, holder)) = waits.iter().max_by_key(|(waited, ..)| *waited) else {
            return;
        };
        let pid = tgid(*key);
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let comm = Comm::of(name.trim_end());
        let waiter = Party { pid, comm, ..Party::default() };
        let longest = Wait { waited_ns: *waited_ns, waiter, holder: Party::of(holder) };
        let tasks = waits.len() as u64;
        facts.push(of_node(at, Fact::RtnlWaiting(WaitingNow { tasks, longest })));
    }
}

/// Process id of an entry's key.
fn tgid(key: u64) -> u32 {
    (key >> 32) as u32
}

/// Whether the thread sleeps and no signal wakes it, as one that waits for a mutex does; `None` when
/// there was no fd to look with.
fn is_blocked(key: u64) -> Option<bool> {
    let tid = key as u32;
    scarce::whole(|| {
        let stat = fs::read(format!("/proc/{}/task/{tid}/stat", tgid(key)));
        Some(is_uninterruptible(&scarce::noted(stat).unwrap_or_default()))
    })
}

/// Field 3 of /proc/PID/stat (proc_pid_stat(5)), behind the last bracket of the name.
fn is_uninterruptible(stat: &[u8]) -> bool {
    let name_ends = stat.iter().rposition(|byte| *byte == b')');
    name_ends.is_some_and(|at| stat.get(at + 1..at + 3) == Some(b" D"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_task_that_no_signal_wakes_waits_for_a_mutex() {
        assert!(is_uninterruptible(b"12 (ip) D 7 12 12"));
        assert!(!is_uninterruptible(b"12 (a) D) S 7 12 12"));
        assert!(!is_uninterruptible(b"12 (ip"));
        assert!(!is_uninterruptible(b""));
        assert_eq!(is_blocked(u64::MAX), Some(false));
    }
}
