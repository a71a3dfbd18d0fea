//! An agent that writes the filters of all interfaces again, and again.

use super::{
    Answer, Object, Operation, TcRequest,
    evidence::{Sweep, TcEvidence},
    link::{LinkKey, Netns, hash},
    owners::Agent,
    rules::SWEEP,
    who,
};
use crate::{
    config::tc::TcConfig,
    event::{BootNs, Comm, Event},
    findings::{Condition, Evidence, Severity, Who},
    signals::bounded::{Aged, Bounded},
};

/// Interfaces remembered at once.
const MOST_LINKS: usize = 2_048;
/// Agents and the namespaces they write in.
const MOST_WRITERS: usize = 64;
/// Filters of one interface that are followed.
const MOST_FILTERS: usize = 8;
/// Sweeps told apart.
pub const MOST_SWEEPS: usize = 8;

/// A filter, and when one agent wrote it again.
struct Filter {
    parent: u32,
    prio: u16,
    by: Option<Comm>,
    /// The latest times, the newest last; 0 for none.
    rewritten: [BootNs; MOST_SWEEPS],
}

/// An interface with filters.
#[derive(Default)]
struct Link {
    filters: Vec<Filter>,
    latest: BootNs,
    name: Option<String>,
}

/// An agent that writes filters in a namespace.
struct Writer {
    latest: BootNs,
    started: BootNs,
    agent: Agent,
    who: Who,
    assumed: bool,
}

/// Every interface that has filters, and who writes them.
pub struct Sweeps {
    links: Bounded<LinkKey, Link>,
    /// By name: a restarted agent is the same one.
    writers: Bounded<(Netns, Comm), Writer>,
}

impl Aged for Link {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Aged for Writer {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Default for Sweeps {
    fn default() -> Self {
        Self { links: Bounded::new(MOST_LINKS), writers: Bounded::new(MOST_WRITERS) }
    }
}

impl Sweeps {
    /// Takes a request that worked.
    pub fn observe(&mut self, event: &Event, request: &TcRequest, config: &TcConfig) {
        if request.object != Object::Filter || request.operation != Operation::Write {
            return;
        }
        let (at, agent) = (event.context.at, Agent::behind(event, request));
        // The filter is known from now on, whoever wrote it.
        let Some((filter, agent)) = self.filter(event, request).zip(agent) else { return };
        // Just started, an agent writes all it owns once; how long it has been there must be known.
        let settled =
            agent.started.filter(|started| at.saturating_sub(*started) > config.sweep_grace.ns());
        let Some(started) = settled else { return };
        if filter.by != Some(agent.comm) {
            (filter.by, filter.rewritten) = (Some(agent.comm), [0; MOST_SWEEPS]);
        }
        filter.rewritten.rotate_left(1);
        if let Some(last) = filter.rewritten.last_mut() {
            *last = at;
        }
        let make = || Writer { latest: at, started, agent, who: Who::default(), assumed: false };
        let writer = self.writers.entry((LinkKey::of(event, request).netns, agent.comm), make);
        (writer.latest, writer.started, writer.agent) = (writer.latest.max(at), started, agent);
        writer.who = Who { interface: None, ..who(event, request) };
        writer.assumed |= request.answer == Answer::Unknown;
    }

    /// Takes a filter that the snapshot found: its next write is no first one.
    pub fn seed(&mut self, event: &Event, request: &TcRequest) {
        if request.object == Object::Filter {
            self.filter(event, request);
        }
    }

    /// Forgets an interface that is gone.
    pub fn link_gone(&mut self, netns: u32, ifindex: i32) {
        self.links.retain(|key, _| !key.is(netns, ifindex));
    }

    /// Says which agents have swept their namespace too often.
    pub fn tick(&mut self, now: BootNs, config: &TcConfig, out: &mut Vec<Condition>) {
        let window = config.window.ns();
        let from = now.saturating_sub(window);
        let links = &mut self.links;
        self.writers.retain(|(netns, comm), writer| {
            if writer.latest < from {
                return false;
            }
            let mut known = 0;
            // Interfaces that were written again at least once, twice, ...
            let mut rewritten = [0; MOST_SWEEPS];
            links.retain(|key, link| {
                if key.netns == *netns {
                    known += 1;
                    let times = link.rewrites(*comm, from);
                    rewritten.iter_mut().take(times).for_each(|links| *links += 1);
                }
                true
            });
            let swept = |links: &usize| links * 100 >= known * config.sweep_percent;
            let sweeps = rewritten.iter().take_while(|links| swept(links)).count();
            if known >= config.sweep_least && sweeps >= config.sweeps {
                let interfaces = rewritten.get(config.sweeps - 1).copied().unwrap_or(0);
                out.push(writer.condition(*netns, [sweeps, interfaces, known], now, config));
            }
            true
        });
    }

    /// Interfaces and agents known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len() + self.writers.len()
    }

    /// Those forgotten for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.links.evicted() + self.writers.evicted()
    }

    /// The filter that a request writes, if it was known before.
    fn filter(&mut self, event: &Event, request: &TcRequest) -> Option<&mut Filter> {
        let key = LinkKey::of(event, request);
        let name = &request.interface.name;
        self.links.remove_if(&key, |link| request.renames(link.name.as_ref()));
        let link = self.links.entry(key, Link::default);
        link.latest = link.latest.max(event.context.at);
        link.name = link.name.take().or_else(|| name.clone());
        let (parent, prio) = (request.parent, request.prio);
        let known = link.filters.iter().position(|f| (f.parent, f.prio) == (parent, prio));
        match known {
            Some(index) => link.filters.get_mut(index),
            None if link.filters.len() < MOST_FILTERS => {
                let rewritten = [0; MOST_SWEEPS];
                link.filters.push(Filter { parent, prio, by: None, rewritten });
                None
            }
            None => None,
        }
    }
}

impl Link {
    /// How often an agent wrote one of the filters again since a time.
    fn rewrites(&self, by: Comm, from: BootNs) -> usize {
        let of_agent = self.filters.iter().filter(|filter| filter.by == Some(by));
        let times = of_agent.map(|f| f.rewritten.iter().filter(|at| **at >= from.max(1)).count());
        times.max().unwrap_or(0)
    }
}

impl Writer {
    fn condition(
        &self,
        netns: Netns,
        [sweeps, interfaces, known]: [usize; 3],
        at: BootNs,
        config: &TcConfig,
    ) -> Condition {
        Condition {
            rule: &SWEEP,
            key: hash((netns, self.agent.comm)),
            severity: Severity::Critical,
            at,
            hold: config.hold.ns(),
            who: self.who.clone(),
            evidence: Evidence::Tc(TcEvidence::Sweep(Sweep {
                sweeps: sweeps as u64,
                interfaces: interfaces as u64,
                known_interfaces: known as u64,
                window_seconds: config.window.ns() / 1_000_000_000,
                agent: self.agent.parent(),
                agent_age_seconds: at.saturating_sub(self.started) / 1_000_000_000,
                success_assumed: self.assumed,
            })),
        }
    }
}

#[cfg(test)]
mod tests;
