//! Whether each interface has at egress what it has at ingress.

use super::{
    Object, Operation, TcRequest,
    directions::Directions,
    evidence::{Asymmetry, LastChange, TcEvidence},
    link::{CLSACT, EGRESS, INGRESS, LinkKey, hash},
    note_who,
    owners::Agent,
    pair::{BOTH, Pair, Relation},
    rules::ASYMMETRY,
    side::Change,
};
use crate::{
    config::tc::TcConfig,
    event::{BootNs, Event},
    findings::{Condition, Evidence, Severity, Who},
    signals::bounded::{Aged, Bounded},
};

/// Interfaces remembered at once.
const MOST_LINKS: usize = 2_048;

/// The latest change of a direction.
struct Last {
    at: BootNs,
    operation: Operation,
    agent: Option<Agent>,
    who: Who,
}

#[derive(Default)]
struct Link {
    directions: Directions,
    last: [Option<Last>; 2],
    latest: BootNs,
    name: Option<String>,
}

/// Both directions of every interface with a clsact.
pub struct Sides {
    links: Bounded<LinkKey, Link>,
}

impl Default for Sides {
    fn default() -> Self {
        Self { links: Bounded::new(MOST_LINKS) }
    }
}

impl Aged for Link {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

impl Sides {
    /// Takes a request that worked. Returns the priority and handle of the filter it wrote, if known.
    pub fn observe(
        &mut self,
        event: &Event,
        request: &TcRequest,
        config: &TcConfig,
    ) -> Option<(u16, u32)> {
        let concerned = concerned(request)?;
        let link = self.link(event, request);
        let at = event.context.at;
        let newer = |last: &Option<Last>| last.as_ref().is_some_and(|last| last.at > at);
        if event.sum.is_some() && concerned.iter().any(|direction| newer(&link.last[*direction])) {
            // It came before what is known already, and nobody knows in which order.
            link.directions.forget();
            return None;
        }
        for direction in concerned {
            let last = &mut link.last[*direction];
            let mut who = last.take().map_or_else(Who::default, |last| last.who);
            note_who(&mut who, event, request);
            let (operation, agent) = (request.operation, Agent::behind(event, request));
            *last = Some(Last { at, operation, agent, who });
        }
        if let (Object::Filter, [direction]) = (request.object, concerned) {
            let change = Change::of(request);
            let change = if event.sum.is_some() { change.settled() } else { change };
            return link.directions.change(*direction, change, at, config.asymmetry.ns());
        }
        // Had there been one it would have been refused; or it is no more.
        if request.exclusive || request.operation == Operation::Delete {
            link.directions.clear(at);
        }
        None
    }

    /// Takes what the snapshot found: filters first, then the clsact that holds them. Returns, for a
    /// clsact, how many filters of each direction look piled up.
    pub fn seed(&mut self, event: &Event, request: &TcRequest, config: &TcConfig) -> [usize; 2] {
        let Some(concerned) = concerned(request) else { return [0; 2] };
        let directions = &mut self.link(event, request).directions;
        if let (Object::Filter, [direction]) = (request.object, concerned) {
            directions.found(*direction, Change::of(request));
            return [0; 2];
        }
        let from = event.context.at;
        let until = from.saturating_add(request.duration_ns.unwrap_or(0));
        match directions.snapshot(from, until, config.asymmetry.ns()) {
            true => directions.piled_up(),
            false => [0; 2],
        }
    }

    /// Forgets what is attached: something was missed.
    pub fn forget(&mut self) {
        self.links.retain(|_, link| {
            (link.directions, link.last) = (Directions::default(), [None, None]);
            true
        });
    }

    /// Forgets an interface that is gone.
    pub fn link_gone(&mut self, netns: u32, ifindex: i32) {
        self.links.retain(|key, _| !key.is(netns, ifindex));
    }

    /// Says which interfaces' directions have disagreed for too long.
    pub fn tick(&mut self, now: BootNs, config: &TcConfig, out: &mut Vec<Condition>) {
        let limit = config.asymmetry.ns();
        self.links.retain(|key, link| {
            link.directions.pass(now, limit);
            // What was only assumed is not upheld for ever: the interface may be gone unseen.
            let quiet_for = now.saturating_sub(link.latest);
            let stale =
                link.directions.assumed && quiet_for > limit.saturating_add(config.window.ns());
            for pair in link.directions.pairs.iter().filter(|_| !stale) {
                let since = pair.disagrees(now, limit);
                out.extend(since.map(|since| link.condition(key, pair, since, now, config)));
            }
            true
        });
    }

    /// Interfaces known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.links.len()
    }

    /// Those forgotten for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.links.evicted()
    }

    fn link(&mut self, event: &Event, request: &TcRequest) -> &mut Link {
        let key = LinkKey::of(event, request);
        let name = &request.interface.name;
        self.links.remove_if(&key, |link| request.renames(link.name.as_ref()));
        let link = self.links.entry(key, Link::default);
        link.latest = link.latest.max(event.context.at);
        if link.name.is_none() {
            link.name.clone_from(name);
        }
        link
    }
}

/// The directions that a request is about; a clsact holds both.
fn concerned(request: &TcRequest) -> Option<&'static [usize]> {
    match (request.object, request.parent) {
        (Object::Filter, INGRESS) => Some(&[0]),
        (Object::Filter, EGRESS) => Some(&[1]),
        (Object::Qdisc, CLSACT) => Some(&BOTH),
        _ => None,
    }
}

impl Last {
    fn evidence(&self, now: BootNs) -> LastChange {
        LastChange {
            what: match self.operation {
                Operation::Write => "wrote",
                Operation::Delete => "deleted",
            },
            by: self.agent.map(|agent| agent.parent()),
            seconds_ago: now.saturating_sub(self.at) / 1_000_000_000,
        }
    }
}

impl Link {
    fn condition(
        &self,
        key: &LinkKey,
        pair: &Pair,
        since: BootNs,
        at: BootNs,
        config: &TcConfig,
    ) -> Condition {
        let (handles, missing) = match pair.relation {
            Relation::Differ(handles) => (handles.to_vec(), None),
            Relation::Missing(direction) => (Vec::new(), Some(direction)),
            Relation::Agree | Relation::Unclear => (Vec::new(), None),
        };
        let of_missing = missing.and_then(|direction| self.last[direction].as_ref());
        let latest = || self.last.iter().flatten().max_by_key(|last| last.at);
        let culprit = of_missing.or_else(latest);
        let [ingress, egress] =
            [0, 1].map(|side: usize| self.last[side].as_ref().map(|last| last.evidence(at)));
        Condition {
            rule: &ASYMMETRY,
            key: hash((key, pair.prio)),
            severity: Severity::Critical,
            at,
            hold: config.hold.ns(),
            who: culprit.map(|last| last.who.clone()).unwrap_or_default(),
            evidence: Evidence::Tc(TcEvidence::Asymmetry(Asymmetry {
                prio: pair.prio,
                handles,
                missing: missing.map(|direction| ["ingress", "egress"][direction]),
                seconds: at.saturating_sub(since) / 1_000_000_000,
                writes_since: pair.writes,
                ingress,
                egress,
                success_assumed: self.directions.assumed,
            })),
        }
    }
}

#[cfg(test)]
mod tests;
