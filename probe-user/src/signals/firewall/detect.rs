//! The detector: which backends have rules in which table.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::{
    Backend, Family, FirewallEvidence, FirewallWrite, Table, evidence::Written,
    rules::TWO_BACKENDS, side::Side, writer,
};
use crate::{
    config::{Config, firewall::FirewallConfig},
    event::{Body, BootNs, Event},
    findings::{Condition, Evidence, Severity, Who},
    signals::{
        Detector,
        bounded::{Aged, Bounded},
        fork,
    },
};

/// Tables remembered at once: a mesh writes some in each pod's network namespace.
const MOST_TABLES: usize = 4_096;
/// Cgroups with refused clones remembered at once.
const MOST_REFUSED: usize = 1_024;

/// A network namespace. Its inode number may be another's later, where there is no cookie.
type Netns = (u32, Option<u64>);

/// A table of iptables, whichever backend has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    netns: Netns,
    family: Family,
    table: Table,
}

/// What is known of one table.
#[derive(Default)]
struct Ruled {
    latest: BootNs,
    legacy: Option<Side>,
    nft: Option<Side>,
    who: Who,
    raised: Option<Severity>,
}

impl Aged for Ruled {
    fn latest(&self) -> BootNs {
        self.latest
    }
}

/// The detector of the firewall signal.
pub struct FirewallDetector {
    config: FirewallConfig,
    tables: Bounded<Place, Ruled>,
    /// When clones were last refused in a cgroup.
    refused: FxHashMap<u64, BootNs>,
}

impl FirewallDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &FirewallConfig) -> Self {
        let (tables, refused) = (Bounded::new(MOST_TABLES), FxHashMap::default());
        Self { config: config.clone(), tables, refused }
    }

    fn written(&mut self, event: &Event, write: &FirewallWrite, out: &mut Vec<Condition>) {
        // Tables of unknown namespaces may be of different ones.
        let Some(netns) = event.context.netns else { return };
        let netns = (netns, write.netns_cookie);
        let (Some(family), Some(table)) = (write.family, write.table()) else {
            return self.all_deleted(netns, write);
        };
        if write.backend == Backend::Nft && writer::is_native(event) && write.rules > 0 {
            return;
        }
        let refused = self.refused_before(event);
        let place = Place { netns, family, table };
        let has_rules = write.rules > 0 || write.cut;
        if !has_rules && self.tables.get_mut(&place).is_none() {
            return;
        }
        let ruled = self.tables.entry(place, Ruled::default);
        ruled.take(event, write, has_rules, refused);
        // Only a change for the worse is worth a condition here; the tick renews it.
        let severity = ruled.judge();
        if severity > ruled.raised {
            ruled.raised = severity;
            ruled.who = Who {
                context: event.context,
                parent: write.started_by,
                interface: None,
                limit_owner: None,
            };
            out.extend(ruled.condition(place, &self.config, event.context.at));
        }
    }

    /// `nft flush ruleset` and its likes name no table.
    fn all_deleted(&mut self, netns: Netns, write: &FirewallWrite) {
        let is_all = write.table_deleted && write.rules == 0 && write.name.first() == Some(&0);
        if is_all {
            self.tables.retain(|place, ruled| {
                if place.netns == netns && write.family.is_none_or(|only| only == place.family) {
                    ruled.nft = None;
                }
                ruled.is_known()
            });
        }
    }

    /// When clones were refused in the writer's cgroup, if that was shortly before.
    fn refused_before(&self, event: &Event) -> Option<BootNs> {
        let at = *self.refused.get(&event.context.cgroup?)?;
        let since = event.context.at.saturating_sub(at);
        (since <= self.config.after_fork_failures.ns()).then_some(at)
    }
}

impl Ruled {
    fn take(
        &mut self,
        event: &Event,
        write: &FirewallWrite,
        has_rules: bool,
        refused: Option<BootNs>,
    ) {
        self.latest = self.latest.max(event.context.at);
        let side = match write.backend {
            Backend::Legacy => &mut self.legacy,
            Backend::Nft => &mut self.nft,
        };
        let is_over = match write.backend {
            Backend::Legacy => !has_rules,
            Backend::Nft => write.table_deleted && !has_rules,
        };
        if is_over {
            *side = None;
        } else if has_rules {
            side.get_or_insert_with(|| Side::new(event.context.at, refused)).note(event, write);
        } else if let Some(side) = side {
            side.note(event, write);
        }
    }

    fn is_known(&self) -> bool {
        self.legacy.is_some() || self.nft.is_some()
    }

    fn sides(&self) -> Option<(&Side, &Side)> {
        self.legacy.as_ref().zip(self.nft.as_ref())
    }

    fn judge(&self) -> Option<Severity> {
        let (legacy, nft) = self.sides()?;
        let critical = legacy.refused.or(nft.refused).is_some() || self.switched().is_some();
        Some(if critical { Severity::Critical } else { Severity::Warning })
    }

    /// The name of an agent that wrote by both.
    fn switched(&self) -> Option<String> {
        let (legacy, nft) = self.sides()?;
        let both = |one: &&writer::Writer| nft.writers.iter().any(|other| one.is(other));
        legacy.writers.iter().find(both).and_then(|one| one.comm.text())
    }

    fn condition(&self, place: Place, config: &FirewallConfig, at: BootNs) -> Option<Condition> {
        const SECOND: u64 = 1_000_000_000;
        let (legacy, nft) = self.sides()?;
        let before = |side: &Side| Some(side.first.saturating_sub(side.refused?) / SECOND);
        Some(Condition {
            rule: &TWO_BACKENDS,
            key: FxBuildHasher.hash_one(place),
            severity: self.raised?,
            at,
            hold: config.hold.ns(),
            who: self.who.clone(),
            evidence: Evidence::Firewall(FirewallEvidence {
                table: place.table.name(),
                family: place.family,
                window_seconds: config.window.ns() / SECOND,
                legacy: Written::of(legacy, at),
                nft: Written::of(nft, at),
                switched: self.switched(),
                fork_refused_seconds_before: before(legacy).or_else(|| before(nft)),
            }),
        })
    }
}

impl Detector for FirewallDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        if let Body::Firewall(write) = &event.body {
            self.written(event, write, out);
        }
    }

    fn hear(&mut self, condition: &Condition) {
        if !fork::is_refusal(condition) {
            return;
        }
        let Some(cgroup) = condition.who.context.cgroup else { return };
        if self.refused.len() < MOST_REFUSED || self.refused.contains_key(&cgroup) {
            let latest = self.refused.entry(cgroup).or_default();
            *latest = condition.at.max(*latest);
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        let config = &self.config;
        let (window, after) = (config.window.ns(), config.after_fork_failures.ns());
        self.refused.retain(|_, at| now.saturating_sub(*at) <= after);
        self.tables.retain(|place, ruled| {
            for side in [&mut ruled.legacy, &mut ruled.nft] {
                side.take_if(|side| now.saturating_sub(side.latest) > window);
            }
            ruled.raised = ruled.judge();
            out.extend(ruled.condition(*place, config, now));
            ruled.is_known()
        });
    }

    fn reconfigure(&mut self, config: &Config) {
        self.config = config.firewall.clone();
    }

    fn tracked(&self) -> usize {
        self.tables.len()
    }

    fn evicted(&self) -> u64 {
        self.tables.evicted()
    }
}
