//! rtnl: time that tasks wait for the RTNL mutex. Every change of the node's network takes it, so who
//! holds it for long, or again and again, stops pod creation, agents and `ip` alike.

use probe_common::{
    rtnl::{self, RtnlShortRecord, RtnlWaitRecord},
    symbol::RTNL_MUTEX,
    wire::{Header, kind, signal},
};
use serde::{Deserialize, Serialize};

use super::Signal;
use crate::{
    decode::{self, DecodeError},
    event::{self, Body, Comm},
    probe::{
        hook::{Attachment, Hook, Rung, Step, Target},
        reads,
    },
};

mod detect;
pub mod evidence;
mod party;
mod rules;
mod waits;

use rules::PRESSURE;

pub static SIGNAL: Signal = Signal {
    wire: signal::RTNL,
    name: "rtnl",
    hooks: &[WAIT],
    kinds: &[(kind::RTNL_WAIT, "wait"), (kind::RTNL_SHORT, "short_waits")],
    rules: &[&PRESSURE],
    decode: decode_record,
    detector: |config| Box::new(detect::RtnlDetector::new(&config.rtnl)),
};

/// Where a task goes that did not get a mutex at once (kernel/locking/mutex.c).
const SLOWPATH: &str = "__mutex_lock_slowpath";
const KILLABLE: &str = "__mutex_lock_killable_slowpath";
const INTERRUPTIBLE: &str = "__mutex_lock_interruptible_slowpath";

// The mutex's slow paths come before the tracepoints, which kernels before 5.19 do not have: those fire
// for every sort of lock, on busy nodes for spinlocks above all.
const WAIT: Hook = Hook {
    name: "wait",
    sees: "waits for the RTNL mutex, and who has it meanwhile",
    reads: &[&reads::MUTEX_PARTIES, &reads::WORK],
    unread: None,
    steps: &[
        Step {
            rung: Rung::Fexit,
            programs: &[
                Attachment::new("rtnl_wait_fentry", Target::Fentry(SLOWPATH)).needing(RTNL_MUTEX),
                Attachment::new("rtnl_got_fexit", Target::Fexit(SLOWPATH)).needing(RTNL_MUTEX),
                Attachment::optional("rtnl_wait_killable", Target::Fentry(KILLABLE)),
                Attachment::optional("rtnl_got_killable", Target::Fexit(KILLABLE)),
            ],
            misses: "waits that any signal may end (rtnl_lock_interruptible of newer kernels)",
        },
        Step {
            rung: Rung::Kprobe,
            programs: &[
                Attachment::new("rtnl_got_kretprobe", Target::Kretprobe(SLOWPATH))
                    .needing(RTNL_MUTEX),
                Attachment::new("rtnl_wait_kprobe", Target::Kprobe(SLOWPATH)).needing(RTNL_MUTEX),
                Attachment::optional("rtnl_got_kretprobe", Target::Kretprobe(KILLABLE)),
                Attachment::optional("rtnl_wait_kprobe", Target::Kprobe(KILLABLE)),
                Attachment::optional("rtnl_got_kretprobe", Target::Kretprobe(INTERRUPTIBLE)),
                Attachment::optional("rtnl_wait_kprobe", Target::Kprobe(INTERRUPTIBLE)),
            ],
            misses: "waits beyond those the kernel has kretprobe instances for (some ten, or two a \
                     processor); such a one is counted as lost when its thread waits again",
        },
        Step {
            rung: Rung::Tracepoint,
            programs: &[
                Attachment::new(
                    "rtnl_contention_end",
                    Target::Tracepoint("lock", "contention_end"),
                )
                .needing(RTNL_MUTEX),
                Attachment::new(
                    "rtnl_contention_begin",
                    Target::Tracepoint("lock", "contention_begin"),
                )
                .needing(RTNL_MUTEX),
            ],
            misses: "",
        },
    ],
};

/// Waits for the RTNL mutex that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RtnlWaits {
    One(Wait),
    /// Waits that the kernel side told in sum: short ones, and those above its budget.
    Many {
        waits: u64,
        /// Their sum (ns).
        waited_ns: u64,
    },
}

/// One wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// How long it took (ns).
    pub waited_ns: u64,
    pub waiter: Party,
    /// Who had the mutex when the wait began; `None` when nobody had it just then.
    pub holder: Option<Party>,
}

/// Waits of a second or more that are not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingNow {
    /// Tasks that wait.
    pub tasks: u64,
    /// The one that began first, as long as it is until now.
    pub longest: Wait,
}

/// A task at one end of a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Name of the thread.
    pub comm: Comm,
    /// The process that started it.
    #[serde(serialize_with = "event::starter")]
    pub parent: Option<(u32, Comm)>,
    /// Workqueue of a kernel worker.
    pub work: Option<Comm>,
    /// Cgroup in the hierarchy of the pids controller.
    pub cgroup: Option<u64>,
}

impl Party {
    /// From the wire; `None` when it names nobody.
    #[must_use]
    pub fn of(party: &rtnl::Party) -> Option<Self> {
        let known = |comm: [u8; 16]| comm.first().is_some_and(|byte| *byte != 0);
        (party.tgid != 0 || known(party.comm)).then_some(Self {
            pid: party.tgid,
            comm: Comm(party.comm),
            parent: (party.parent_tgid != 0)
                .then_some((party.parent_tgid, Comm(party.parent_comm))),
            work: known(party.work).then_some(Comm(party.work)),
            cgroup: (party.cgroup_id != 0).then_some(party.cgroup_id),
        })
    }
}

fn decode_record(header: &Header, bytes: &[u8]) -> Result<Body, DecodeError> {
    if header.kind == kind::RTNL_SHORT {
        let RtnlShortRecord { waits, waited_ns, .. } = decode::read(header.kind, bytes)?;
        return Ok(Body::Rtnl(RtnlWaits::Many { waits, waited_ns }));
    }
    let record: RtnlWaitRecord = decode::read(header.kind, bytes)?;
    Ok(Body::Rtnl(RtnlWaits::One(Wait {
        waited_ns: record.waited_ns,
        waiter: Party::of(&record.waiter).unwrap_or_default(),
        holder: Party::of(&record.holder),
    })))
}

#[cfg(test)]
mod tests;
