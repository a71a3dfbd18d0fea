//! Who attached what, so that a removal or an overwrite by somebody else can name both.

use super::{Object, TcRequest, programs::Place};
use crate::{
    enrich::subject::Parent,
    event::{BootNs, Comm, Event},
    signals::tools::{is_adopter, is_tool},
};

/// Owners remembered at one point: agents that share one use two or three priorities.
const MOST_OWNERS: usize = 8;

/// The agent behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    pub pid: u32,
    pub comm: Comm,
    /// When its process started; `None` when unknown.
    pub started: Option<BootNs>,
}

impl Agent {
    /// The one that wants what a request does: `tc` is only a hand. `None` when that is not known: a
    /// tool outlived whoever started it, as when an agent is killed in the middle of its work.
    #[must_use]
    pub fn behind(event: &Event, request: &TcRequest) -> Option<Self> {
        let (pid, comm) = (event.context.pid, event.context.comm);
        if !is_tool(comm.bytes()) {
            return Some(Self { pid, comm, started: request.writer_start });
        }
        match request.started_by {
            Some((pid, comm)) if is_adopter(pid, comm.bytes()) => None,
            Some((pid, comm)) => Some(Self { pid, comm, started: request.starter_start }),
            None => Some(Self { pid, comm, started: request.writer_start }),
        }
    }

    /// Whether it is the same agent: a restart keeps the name, and a thread of another name the
    /// process.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.comm == other.comm || (self.pid, self.started) == (other.pid, other.started)
    }

    /// The agent in a finding's evidence.
    #[must_use]
    pub fn parent(&self) -> Parent {
        Parent { pid: self.pid, comm: self.comm.text() }
    }
}

/// An agent and where it attached.
#[derive(Debug, PartialEq, Eq)]
pub struct Owner {
    place: Place,
    /// Handle of its filter; `None` when it is not known which one the kernel chose, and for what has
    /// none.
    handle: Option<u32>,
    pub agent: Agent,
    /// When it last did.
    pub at: BootNs,
}

/// What a request removes at an attach point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The qdisc, or every filter.
    All,
    /// A program, or every filter of a priority.
    One(Place),
    /// One filter of a priority, by its handle.
    OneFilter(u16, u32),
}

impl Removed {
    /// What a delete request removes.
    #[must_use]
    pub fn by(request: &TcRequest) -> Self {
        match (request.object, request.prio, request.handle) {
            (Object::Qdisc, ..) | (Object::Filter, 0, _) => Self::All,
            (Object::Filter, prio, handle @ 1..) => Self::OneFilter(prio, handle),
            (Object::Filter | Object::Program, ..) => Self::One(request.place()),
        }
    }
}

/// A filter, qdisc or program that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub place: Place,
    /// `None` when it is not known which one the kernel chose, and for what has none.
    pub handle: Option<u32>,
    /// Whether the kernel would have refused it, had it been there.
    pub exclusive: bool,
    /// Another place that it took over (`BPF_F_REPLACE`).
    pub replaced: Option<Place>,
}

impl Written {
    /// What a write request wrote; `known` are a filter's priority and handle when they are known
    /// although the kernel chose one of them.
    #[must_use]
    pub fn by(request: &TcRequest, known: Option<(u16, u32)>) -> Self {
        let asked = (request.prio != 0 && request.handle != 0).then_some(request.handle);
        let (place, handle) = known.map_or((request.place(), asked), |(prio, handle)| {
            (Place::Priority(prio), Some(handle))
        });
        // A program is attached to a point once: `bpf_mprog_attach` in kernel/bpf/mprog.c.
        let exclusive = request.exclusive || matches!(place, Place::Program(_));
        let replaced = request.bpf.replaced.map(Place::Program);
        Self { place, handle, exclusive, replaced }
    }

    /// Whether what an owner has is no more.
    fn replaces(&self, owner: &Owner) -> bool {
        let in_place = match self.place {
            Place::Priority(_) => self.handle.is_some() && owner.handle == self.handle,
            Place::Program(_) | Place::Link(_) | Place::Only => true,
            Place::Unknown => false,
        };
        self.took_over(owner) || (owner.place == self.place && in_place)
    }

    fn took_over(&self, owner: &Owner) -> bool {
        self.replaced == Some(owner.place)
    }
}

/// The owners at one attach point, by place and handle.
#[derive(Default)]
pub struct Owners(Vec<Owner>);

impl Owners {
    /// Notes who wrote something. Returns the owner whose place it took, if that is somebody else;
    /// where a filter's handle is not known, nobody is named.
    pub fn attach(&mut self, written: Written, agent: Option<Agent>, at: BootNs) -> Option<Owner> {
        // What nobody is known to have done takes nothing from anybody.
        let agent = agent?;
        let Written { place, handle, exclusive, .. } = written;
        let own = |owner: &Owner| {
            owner.place == place && owner.handle.is_none() && owner.agent.is(&agent)
        };
        let gone: Vec<Owner> =
            self.0.extract_if(.., |owner| written.replaces(owner) || own(owner)).collect();
        if self.0.len() == MOST_OWNERS {
            self.0.remove(0);
        }
        self.0.push(Owner { place, handle, agent, at });
        let harmed = |owner: &Owner| !exclusive || written.took_over(owner);
        gone.into_iter().find(|owner| !owner.agent.is(&agent) && harmed(owner))
    }

    /// Notes what a request removed. Returns the owner that `by` is not, the latest of several. Whose
    /// filter it was when the kernel chose the priority is not known, and nobody is named.
    pub fn remove(&mut self, removed: Removed, by: Option<Agent>) -> Option<Owner> {
        let stranger = |owner: &Owner| by.is_some_and(|by| !owner.agent.is(&by));
        let names = |owner: &Owner| match (removed, owner.handle) {
            (Removed::OneFilter(prio, handle), Some(known)) => {
                (owner.place, known) == (Place::Priority(prio), handle)
            }
            _ => false,
        };
        let named = self.0.iter().any(names);
        let gone = self.0.extract_if(.., |owner| match removed {
            Removed::All => true,
            Removed::One(place) => owner.place == place && place != Place::Unknown,
            Removed::OneFilter(..) if named => names(owner),
            // One whose handle is not known. Not its own: an agent that swaps filters adds the new
            // one first, and still owns the priority.
            Removed::OneFilter(prio, _) => {
                let unknown = owner.handle.is_none();
                owner.place == Place::Priority(prio) && unknown && stranger(owner)
            }
        });
        gone.filter(stranger).max_by_key(|owner| owner.at)
    }
}

#[cfg(test)]
mod tests;
