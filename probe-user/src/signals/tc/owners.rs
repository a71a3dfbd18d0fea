//! Who attached what, so that a removal by somebody else can name both.

use super::{Object, TcRequest, programs::Place};
use crate::event::{BootNs, Comm, Event};

/// Owners remembered at one point: agents that share one use two or three priorities.
const MOST_OWNERS: usize = 8;
/// Programs that only carry out what whoever started them wants.
const TOOLS: [&[u8]; 2] = [b"tc", b"ip"];

/// The agent behind a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    pub pid: u32,
    pub comm: Comm,
}

impl Agent {
    /// The one that wants what a request does: `tc` is only a hand.
    #[must_use]
    pub fn behind(event: &Event, request: &TcRequest) -> Self {
        let own = Self { pid: event.context.pid, comm: event.context.comm };
        match request.started_by {
            Some((pid, comm)) if TOOLS.contains(&own.comm.bytes()) => Self { pid, comm },
            _ => own,
        }
    }

    /// Whether it is the same agent: a restart keeps the name, and a thread of another name the pid.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.comm == other.comm || self.pid == other.pid
    }
}

/// An agent and where it attached.
#[derive(Debug, PartialEq, Eq)]
pub struct Owner {
    place: Place,
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
    OneFilter(u16),
}

impl Removed {
    /// What a delete request removes.
    #[must_use]
    pub fn by(request: &TcRequest) -> Self {
        match (request.object, request.prio, request.handle) {
            (Object::Qdisc, ..) | (Object::Filter, 0, _) => Self::All,
            (Object::Filter, prio, 1..) => Self::OneFilter(prio),
            (Object::Filter | Object::Program, ..) => Self::One(request.place()),
        }
    }
}

/// The owners at one attach point, by their place.
#[derive(Default)]
pub struct Owners(Vec<Owner>);

impl Owners {
    /// Notes who attached at a place.
    pub fn attach(&mut self, place: Place, agent: Agent, at: BootNs) {
        self.0.retain(|owner| owner.place != place);
        if self.0.len() == MOST_OWNERS {
            self.0.remove(0);
        }
        self.0.push(Owner { place, agent, at });
    }

    /// Notes what a request removed. Returns the owner that `by` is not, the latest of several. Whose
    /// filter it was when the kernel chose the priority is not known, and nobody is named.
    pub fn remove(&mut self, removed: Removed, by: Agent) -> Option<Owner> {
        let gone = self.0.extract_if(.., |owner| match removed {
            Removed::All => true,
            Removed::One(place) => owner.place == place && place != Place::Unknown,
            // An agent that swaps filters adds the new one first: it still owns the priority.
            Removed::OneFilter(prio) => {
                owner.place == Place::Priority(prio) && !owner.agent.is(&by)
            }
        });
        gone.filter(|owner| !owner.agent.is(&by)).max_by_key(|owner| owner.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::comm;

    fn agent(name: &str) -> Agent {
        Agent { pid: u32::from(name.as_bytes()[0]), comm: comm(name) }
    }

    #[test]
    fn only_a_strangers_removal_has_a_victim() {
        let mut owners = Owners::default();
        owners.attach(Place::Priority(1), agent("cilium-agent"), 10);
        owners.attach(Place::Priority(2), agent("system-probe"), 20);
        assert_eq!(
            owners.remove(Removed::One(Place::Priority(2)), agent("system-probe")),
            None,
            "its own"
        );
        assert_eq!(
            owners.remove(Removed::One(Place::Priority(2)), agent("system-probe")),
            None,
            "gone"
        );
        let victim = owners.remove(Removed::All, agent("system-probe")).expect("a victim");
        assert_eq!((victim.agent, victim.at), (agent("cilium-agent"), 10));
        assert_eq!(owners.remove(Removed::All, agent("system-probe")), None);
    }

    #[test]
    fn an_agent_that_swaps_its_filters_stays_the_owner() {
        let mut owners = Owners::default();
        owners.attach(Place::Priority(1), agent("calico-node"), 10);
        assert_eq!(owners.remove(Removed::OneFilter(1), agent("calico-node")), None);
        let victim = owners.remove(Removed::OneFilter(1), agent("tracee")).expect("a victim");
        assert_eq!(victim.agent, agent("calico-node"));
    }

    #[test]
    fn owners_are_bounded() {
        let mut owners = Owners::default();
        (0..100).for_each(|prio| owners.attach(Place::Priority(prio), agent("a"), u64::from(prio)));
        assert_eq!(owners.0.len(), MOST_OWNERS);
    }
}
