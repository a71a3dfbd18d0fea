//! Where in its program a netlink socket was made: the user stack of the call, for the sockets of a
//! process that has some already. `ip` and its like never have, so a call of theirs costs two map
//! operations and no walk of a stack.

use aya_ebpf::{
    bindings::BPF_F_USER_STACK,
    macros::map,
    maps::{LruHashMap, StackTrace},
    programs::tracing::StackIdContext,
};
use probe_common::netlink::{NO_STACK, NetlinkRecord, STACKS_FROM};

use crate::{kernel::user, output};

/// Processes with netlink sockets known at once; the least recently used is counted anew.
const KNOWN_PROCESSES: u32 = 4_096;
/// Different stacks kept at once (1 KB each); the agent takes out those of processes that are gone.
const STACKS: u32 = 1_024;

/// Netlink sockets that each process opened and did not close.
#[map]
static NETLINK_HELD: LruHashMap<u32, u32> = LruHashMap::with_max_entries(KNOWN_PROCESSES, 0);

#[map]
static USER_STACKS: StackTrace = StackTrace::with_max_entries(STACKS, 0);

/// The place of a call in user space.
#[derive(Clone, Copy)]
pub struct Birthplace {
    stack: i32,
    caller: u64,
}

impl Birthplace {
    /// Copies it into the record of the opening.
    #[inline(always)]
    pub fn write(self, record: &mut NetlinkRecord) {
        record.stack = self.stack;
        record.caller = self.caller;
    }
}

/// Counts a socket that was just opened, and notes where if the process has many.
#[inline(always)]
pub fn of_socket<C: StackIdContext>(ctx: &C) -> Birthplace {
    if count_opened() <= STACKS_FROM {
        return Birthplace { stack: NO_STACK, caller: 0 };
    }
    // Without BPF_F_REUSE_STACKID: of two stacks in one slot the older stays, as sockets refer to it,
    // and the younger is -EEXIST.
    let stack = match ctx.get_stackid(&USER_STACKS, BPF_F_USER_STACK as u64) {
        Ok(id) => id as i32,
        Err(errno) => errno,
    };
    Birthplace { stack, caller: user::top_of_stack() }
}

/// Counts a socket that was closed.
#[inline(always)]
pub fn closed() {
    let Some(held) = NETLINK_HELD.get_ptr_mut(tgid()) else {
        return;
    };
    // SAFETY: the slot stays readable while the program runs. Two threads at once may lose a count,
    // which only moves the moment from which stacks are noted.
    unsafe {
        if *held > 1 {
            *held -= 1;
            return;
        }
    }
    forget();
}

/// Forgets what the current process holds.
#[inline(always)]
pub fn forget() {
    let _ = NETLINK_HELD.remove(tgid());
}

/// Sockets the current process has open, with this one.
#[inline(always)]
fn count_opened() -> u32 {
    match NETLINK_HELD.get_ptr_mut(tgid()) {
        // SAFETY: as in `closed`.
        Some(held) => unsafe {
            *held += 1;
            *held
        },
        None => {
            let _ = NETLINK_HELD.insert(tgid(), 1, 0);
            1
        }
    }
}

#[inline(always)]
fn tgid() -> u32 {
    (output::thread_key() >> 32) as u32
}
