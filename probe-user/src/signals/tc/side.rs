//! The filters of one direction of an interface, followed request by request as the kernel keeps
//! them: which priorities there are and which handles each holds.
//!
//! `cls_bpf_change` in net/sched/cls_bpf.c gives a filter that asks for no handle the lowest free one
//! from 1; `tc_new_tfilter` and `tc_del_tfilter` in net/sched/cls_api.c do the rest. Of other kinds
//! than bpf only the priority is followed. A request that cannot have worked on what is known here
//! means that something was missed: then nothing is known any more.

use super::{Answer, Operation, TcRequest};
use crate::event::BootNs;

/// Priorities followed in one direction; agents that share an interface use two or three.
const MOST_PRIORITIES: usize = 32;
/// Handles followed at one priority.
const MOST_HANDLES: usize = 32;
/// What the kernel chooses first when a filter asks for no priority (`tcf_auto_prio`).
const FIRST_CHOICE: u16 = 0xc000;
/// Where it begins to look for the lowest one taken (`tc_new_tfilter`).
const LOWEST_LOOKED_AT: u16 = 0x8000;

/// A request as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub operation: Operation,
    pub prio: u16,
    pub handle: u32,
    exclusive: bool,
    /// Whether it names the kind bpf; `None` when it names none.
    bpf: Option<bool>,
    /// Whether its success is only assumed.
    pub assumed: bool,
    /// Whether it is the last of many: it says what is there now, whatever was before.
    settled: bool,
}

impl Change {
    /// What a request that worked does to a direction.
    #[must_use]
    pub fn of(request: &TcRequest) -> Self {
        Self {
            operation: request.operation,
            prio: request.prio,
            handle: request.handle,
            exclusive: request.exclusive,
            bpf: request.kind.as_deref().map(|kind| kind == "bpf"),
            assumed: request.answer == Answer::Unknown,
            settled: false,
        }
    }

    /// The same, as the last of many like it.
    #[must_use]
    pub fn settled(self) -> Self {
        Self { settled: true, ..self }
    }
}

/// A handle, and whether whoever made the filter asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    pub number: u32,
    pub named: bool,
}

/// A priority in use.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Priority {
    prio: u16,
    /// Since when; 0 when it was there before the agent.
    since: BootNs,
    filters: Filters,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Filters {
    Bpf(Vec<Handle>),
    Other,
}

/// What is known of a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Absent,
    One(Handle),
    Several,
    /// Nothing is known, or its filters are of another kind.
    Unclear,
}

/// One direction.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// `None` while it is not known what is there.
    known: Option<Vec<Priority>>,
}

impl Side {
    /// Nothing is attached: its qdisc was made or deleted just now.
    pub fn clear(&mut self) {
        self.known = Some(Vec::new());
    }

    /// Something was missed.
    pub fn forget(&mut self) {
        self.known = None;
    }

    /// Whether all that is attached is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// Takes what a snapshot found, told as writes in any order.
    pub fn seed(&mut self, found: impl IntoIterator<Item = Change>) {
        self.clear();
        // A handle that was found was not asked for, as far as anybody knows.
        for change in found {
            self.apply(change, 0);
        }
        for filters in self.known.iter_mut().flatten().map(|priority| &mut priority.filters) {
            if let Filters::Bpf(handles) = filters {
                handles.iter_mut().for_each(|handle| handle.named = false);
            }
        }
    }

    /// Follows a request that worked. Returns the priority and handle of the filter it wrote, if
    /// known.
    pub fn apply(&mut self, change: Change, at: BootNs) -> Option<(u16, u32)> {
        let priorities = self.known.as_mut()?;
        let done = match change.operation {
            // What the kernel chose depends on what went before.
            Operation::Write if change.settled && change.handle == 0 => Err(Missed),
            Operation::Write => write(priorities, change, at),
            Operation::Delete => delete(priorities, change).map(|()| None),
        };
        done.unwrap_or_else(|_| {
            self.forget();
            None
        })
    }

    /// What is at a priority.
    #[must_use]
    pub fn at(&self, prio: u16) -> Presence {
        let Some(priorities) = &self.known else { return Presence::Unclear };
        match priorities.iter().find(|known| known.prio == prio).map(|known| &known.filters) {
            None => Presence::Absent,
            Some(Filters::Other) => Presence::Unclear,
            Some(Filters::Bpf(handles)) => match handles.as_slice() {
                [one] => Presence::One(*one),
                _ => Presence::Several,
            },
        }
    }

    /// Whether a bpf filter came to a priority that `other` does not use, at this time or later.
    #[must_use]
    pub fn gained_alone(&self, other: &Self, since: BootNs) -> bool {
        self.known.iter().flatten().any(|known| {
            matches!(known.filters, Filters::Bpf(_))
                && known.since >= since
                && other.at(known.prio) == Presence::Absent
        })
    }

    /// Most bpf filters at priorities that descend one by one, as those do whose priority the kernel
    /// chose.
    #[must_use]
    pub fn longest_descent(&self) -> usize {
        let mut prios: Vec<u16> = self
            .known
            .iter()
            .flatten()
            .filter(|known| known.prio >= LOWEST_LOOKED_AT && known.prio <= FIRST_CHOICE)
            .filter(|known| matches!(known.filters, Filters::Bpf(_)))
            .map(|known| known.prio)
            .collect();
        prios.sort_unstable();
        prios.chunk_by(|a, b| a + 1 == *b).map(<[u16]>::len).max().unwrap_or(0)
    }
}

/// What happened does not fit what was known, or there is no room for it.
struct Missed;

fn write(
    priorities: &mut Vec<Priority>,
    change: Change,
    at: BootNs,
) -> Result<Option<(u16, u32)>, Missed> {
    let prio = if change.prio == 0 { kernels_choice(priorities)? } else { change.prio };
    let filters = match priorities.iter_mut().position(|known| known.prio == prio) {
        Some(index) => &mut priorities[index].filters,
        None if priorities.len() == MOST_PRIORITIES => return Err(Missed),
        None => {
            let filters = match change.bpf {
                Some(true) => Filters::Bpf(Vec::new()),
                Some(false) => Filters::Other,
                // A new priority needs a kind.
                None => return Err(Missed),
            };
            priorities.push(Priority { prio, since: at, filters });
            match priorities.last_mut() {
                Some(added) => &mut added.filters,
                None => return Err(Missed),
            }
        }
    };
    match (filters, change.bpf) {
        (Filters::Bpf(handles), None | Some(true)) => {
            put(handles, change).map(|number| Some((prio, number)))
        }
        (Filters::Other, None | Some(false)) => Ok(None),
        // A priority has one kind.
        _ => Err(Missed),
    }
}

/// Puts a bpf filter in and returns its handle.
fn put(handles: &mut Vec<Handle>, change: Change) -> Result<u32, Missed> {
    let taken = |number| handles.iter().any(|handle| handle.number == number);
    let number = match change.handle {
        0 => (1..).find(|number| !taken(*number)).ok_or(Missed)?,
        asked if taken(asked) && change.exclusive && !change.settled => return Err(Missed),
        asked if taken(asked) => return Ok(asked),
        asked => asked,
    };
    if handles.len() == MOST_HANDLES {
        return Err(Missed);
    }
    handles.push(Handle { number, named: change.handle != 0 });
    Ok(number)
}

fn delete(priorities: &mut Vec<Priority>, change: Change) -> Result<(), Missed> {
    if change.prio == 0 {
        priorities.clear();
        return Ok(());
    }
    let index = match priorities.iter().position(|known| known.prio == change.prio) {
        Some(index) => index,
        None if change.settled => return Ok(()),
        None => return Err(Missed),
    };
    let gone = match &mut priorities[index].filters {
        _ if change.handle == 0 => true,
        Filters::Bpf(handles) => {
            match handles.iter().position(|handle| handle.number == change.handle) {
                Some(index) => drop(handles.swap_remove(index)),
                None if change.settled => {}
                None => return Err(Missed),
            }
            handles.is_empty()
        }
        // Whether it was the last one is not known; it matters where the kernel chooses.
        Filters::Other if change.prio >= LOWEST_LOOKED_AT => return Err(Missed),
        Filters::Other => false,
    };
    if gone {
        priorities.swap_remove(index);
    }
    Ok(())
}

/// The priority that the kernel gives: one below the lowest taken in the upper half.
fn kernels_choice(priorities: &[Priority]) -> Result<u16, Missed> {
    let taken = priorities.iter().map(|known| known.prio).filter(|prio| *prio >= LOWEST_LOOKED_AT);
    match taken.min() {
        None => Ok(FIRST_CHOICE),
        Some(LOWEST_LOOKED_AT) => Err(Missed),
        Some(lowest) => Ok(lowest - 1),
    }
}

#[cfg(test)]
mod tests;
