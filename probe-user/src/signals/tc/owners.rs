//! Who attached what, so that a removal by somebody else can name both.

use super::{Object, TcRequest};
use crate::{
    enrich::subject::Parent,
    event::{BootNs, Comm, Event},
};

/// Owners remembered at one point: agents that share one use two or three priorities.
const MOST_OWNERS: usize = 8;
/// Programs that only carry out what whoever started them wants.
const TOOLS: [&[u8]; 2] = [b"tc", b"ip"];
/// Who adopts a tool whose starter has ended: it may be anybody's.
const ADOPTERS: [&[u8]; 9] = [
    b"init",
    b"systemd",
    b"containerd-shim",
    b"conmon",
    b"runsv",
    b"runsvdir",
    b"tini",
    b"dumb-init",
    b"docker-init",
];

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
        if !TOOLS.contains(&comm.bytes()) {
            return Some(Self { pid, comm, started: request.writer_start });
        }
        match request.started_by {
            Some((pid, comm)) if pid == 1 || ADOPTERS.contains(&adopter(&comm)) => None,
            Some((pid, comm)) => Some(Self { pid, comm, started: request.starter_start }),
            None => Some(Self { pid, comm, started: request.writer_start }),
        }
    }

    /// The agent in a finding's evidence.
    #[must_use]
    pub fn parent(&self) -> Parent {
        Parent { pid: self.pid, comm: self.comm.text() }
    }
}

/// A name without what the kernel cuts off: `containerd-shim-runc-v2` has 15 bytes too.
fn adopter(comm: &Comm) -> &[u8] {
    let name = comm.bytes();
    if name.starts_with(b"containerd-shim") { b"containerd-shim" } else { name }
}

/// An agent and where it attached.
#[derive(Debug, PartialEq, Eq)]
pub struct Owner {
    prio: u16,
    /// Handle of its filter; `None` when it is not known which one the kernel chose.
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
    /// Every filter of a priority.
    Priority(u16),
    /// One filter of a priority, by its handle.
    OneFilter(u16, u32),
}

impl Removed {
    /// What a delete request removes.
    #[must_use]
    pub fn by(request: &TcRequest) -> Self {
        match (request.object, request.prio, request.handle) {
            (Object::Qdisc, ..) | (Object::Filter, 0, _) => Self::All,
            (Object::Filter, prio, 0) => Self::Priority(prio),
            (Object::Filter, prio, handle) => Self::OneFilter(prio, handle),
        }
    }
}

/// A filter that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// 0 when the kernel chose it.
    pub prio: u16,
    /// `None` when it is not known which one the kernel chose.
    pub handle: Option<u32>,
    /// Whether the kernel would have refused it, had it been there.
    pub exclusive: bool,
}

impl Written {
    /// What a write request wrote; `known` are its priority and handle when they are known although
    /// the kernel chose one of them.
    #[must_use]
    pub fn by(request: &TcRequest, known: Option<(u16, u32)>) -> Self {
        let asked = (request.prio != 0 && request.handle != 0).then_some(request.handle);
        let (prio, handle) =
            known.map_or((request.prio, asked), |(prio, handle)| (prio, Some(handle)));
        Self { prio, handle, exclusive: request.exclusive }
    }
}

/// The owners at one attach point, by priority and handle.
#[derive(Default)]
pub struct Owners(Vec<Owner>);

impl Owners {
    /// Notes who wrote a filter. Returns the owner whose filter it took the place of, if that is
    /// somebody else; where the handle is not known, nobody is named.
    pub fn attach(&mut self, written: Written, agent: Option<Agent>, at: BootNs) -> Option<Owner> {
        // What nobody is known to have done takes nothing from anybody.
        let agent = agent?;
        let Written { prio, handle, exclusive } = written;
        let replaced = |owner: &Owner| handle.is_some() && owner.handle == handle;
        let own = |owner: &Owner| owner.agent.comm == agent.comm && owner.handle.is_none();
        let gone: Vec<Owner> = self
            .0
            .extract_if(.., |owner| owner.prio == prio && (replaced(owner) || own(owner)))
            .collect();
        if self.0.len() == MOST_OWNERS {
            self.0.remove(0);
        }
        self.0.push(Owner { prio, handle, agent, at });
        gone.into_iter().find(|owner| owner.agent.comm != agent.comm && !exclusive)
    }

    /// Notes what a request removed. Returns the owner that `by` is not, the latest of several. An
    /// agent is known again by its name: a restart is no stranger. Whose filter it was when the
    /// kernel chose the priority is not known, and nobody is named.
    pub fn remove(&mut self, removed: Removed, by: Option<Agent>) -> Option<Owner> {
        let stranger = |owner: &Owner| by.is_some_and(|by| owner.agent.comm != by.comm);
        let names = |owner: &Owner| match (removed, owner.handle) {
            (Removed::OneFilter(prio, handle), Some(known)) => {
                (owner.prio, known) == (prio, handle)
            }
            _ => false,
        };
        let named = self.0.iter().any(names);
        let gone = self.0.extract_if(.., |owner| match removed {
            Removed::All => true,
            Removed::Priority(prio) => owner.prio == prio,
            Removed::OneFilter(..) if named => names(owner),
            // One whose handle is not known. Not its own: an agent that swaps filters adds the new
            // one first, and still owns the priority.
            Removed::OneFilter(prio, _) => {
                let unknown = owner.handle.is_none();
                owner.prio == prio && unknown && stranger(owner)
            }
        });
        gone.filter(stranger).max_by_key(|owner| owner.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::testing::comm;

    fn agent(name: &str) -> Agent {
        Agent { pid: 7, comm: comm(name), started: None }
    }

    fn some(name: &str) -> Option<Agent> {
        Some(agent(name))
    }

    fn filter(prio: u16, handle: u32) -> Written {
        Written { prio, handle: (handle != 0).then_some(handle), exclusive: false }
    }

    #[test]
    fn only_a_strangers_removal_has_a_victim() {
        let mut owners = Owners::default();
        owners.attach(filter(1, 0), some("cilium-agent"), 10);
        owners.attach(filter(2, 0), some("system-probe"), 20);
        assert_eq!(owners.remove(Removed::Priority(2), some("system-probe")), None, "its own");
        assert_eq!(owners.remove(Removed::Priority(2), some("system-probe")), None, "gone");
        let victim = owners.remove(Removed::All, some("system-probe")).expect("a victim");
        assert_eq!((victim.agent, victim.at), (agent("cilium-agent"), 10));
        assert_eq!(owners.remove(Removed::All, some("system-probe")), None);
    }

    #[test]
    fn an_agent_that_swaps_its_filters_stays_the_owner() {
        for handles in [[0, 0], [1, 2]] {
            let mut owners = Owners::default();
            for handle in handles {
                assert_eq!(owners.attach(filter(1, handle), some("calico-node"), 10), None);
            }
            assert_eq!(owners.remove(Removed::OneFilter(1, 1), some("calico-node")), None);
            let victim = owners.remove(Removed::OneFilter(1, 2), some("tracee")).expect("one");
            assert_eq!(victim.agent, agent("calico-node"));
        }
    }

    #[test]
    fn a_removal_by_handle_hits_that_filters_owner() {
        let mut owners = Owners::default();
        owners.attach(filter(1, 1), some("cilium-agent"), 10);
        owners.attach(filter(1, 2), some("system-probe"), 20);
        assert_eq!(owners.remove(Removed::OneFilter(1, 2), some("system-probe")), None);
        assert_eq!(owners.remove(Removed::OneFilter(1, 3), some("system-probe")), None);
        let victim = owners.remove(Removed::OneFilter(1, 1), some("system-probe")).expect("one");
        assert_eq!(victim.agent, agent("cilium-agent"));
    }

    #[test]
    fn an_overwrite_has_a_victim_and_a_filter_beside_has_none() {
        let mut owners = Owners::default();
        assert_eq!(owners.attach(filter(1, 1), some("cilium-agent"), 10), None);
        assert_eq!(owners.attach(filter(1, 2), some("system-probe"), 20), None, "beside it");
        assert_eq!(owners.attach(filter(2, 1), some("system-probe"), 20), None, "elsewhere");
        assert_eq!(owners.attach(filter(1, 0), some("system-probe"), 20), None, "not known where");
        assert_eq!(owners.attach(filter(1, 1), some("cilium-agent"), 30), None, "its own");
        let added = Written { exclusive: true, ..filter(1, 1) };
        assert_eq!(owners.attach(added, some("tracee"), 40), None, "it was gone, unseen");
        let victim = owners.attach(filter(1, 1), some("cilium-agent"), 50).expect("a victim");
        assert_eq!((victim.agent, victim.at), (agent("tracee"), 40));
    }

    #[test]
    fn a_tool_whose_starter_has_ended_is_nobodys() {
        let mut owners = Owners::default();
        owners.attach(filter(1, 1), some("calico-node"), 10);
        assert_eq!(owners.attach(filter(1, 1), None, 20), None);
        assert_eq!(owners.attach(filter(1, 1), some("calico-node"), 30), None, "still its own");
        assert_eq!(owners.remove(Removed::All, None), None);
        assert_eq!(owners.remove(Removed::All, some("tracee")), None, "gone");
    }

    #[test]
    fn owners_are_bounded() {
        let mut owners = Owners::default();
        for prio in 0..100 {
            owners.attach(filter(prio, 0), some("a"), u64::from(prio));
        }
        assert_eq!(owners.0.len(), MOST_OWNERS);
    }
}
