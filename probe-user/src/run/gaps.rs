//! Records that got lost: noticed where the ring is drained, and made good by asking /proc and rtnetlink
//! what there is.

use std::sync::Arc;

use probe_common::{counter, wire::signal};

use crate::{
    enrich::cgroup::PidsHierarchy,
    event::{BootNs, Fact, Gap, HeldSockets},
    findings::clock::boot_now,
    metrics::Metrics,
    pipeline::Pipeline,
    probe::counters::Counters,
    sinks::Outlets,
    source::{
        Source,
        poll::of_node,
        seed::{netlink, tc::Snapshot},
    },
};

/// Signals whose detectors follow what there is, record by record.
const FOLLOWED: [u32; 2] = [signal::TC, signal::NETLINK];
/// A look at /proc may take one part in so many of the time.
const SHARE: u64 = 10;

/// What is known of lost records.
pub struct Gaps {
    counters: Arc<Counters>,
    /// Events without a record so far, of each followed signal.
    without_record: [u64; FOLLOWED.len()],
    /// Whether records name a netlink socket by its inode.
    by_inode: bool,
    /// Whether netlink sockets have to be looked for.
    look_due: bool,
    /// When the next look may be.
    not_before: BootNs,
}

impl Gaps {
    /// `by_inode`: whether records name a netlink socket by its inode.
    pub fn new(counters: Arc<Counters>, by_inode: bool) -> Self {
        let without_record = [0; FOLLOWED.len()];
        Self { counters, without_record, by_inode, look_due: false, not_before: 0 }
    }

    /// Hands all records there are to the pipeline, and says before and after it when some are missing.
    pub fn drain(
        &mut self,
        source: &mut impl Source,
        pipeline: &mut Pipeline,
        snapshot: &Snapshot,
        outlets: &Outlets,
    ) {
        let with_gap = self.with_gap();
        let tell = |pipeline: &mut Pipeline, passed| {
            for signal in &with_gap {
                let gap = Fact::Gap(Gap { signal: *signal, passed });
                pipeline.fact(&of_node(boot_now(), gap), outlets);
            }
        };
        tell(pipeline, false);
        source.drain(|record| pipeline.record(record, outlets));
        tell(pipeline, true);
        if with_gap.contains(&signal::TC) {
            snapshot.again();
        }
        self.look_due |= with_gap.contains(&signal::NETLINK);
    }

    /// Looks for netlink sockets if some may have come or gone unseen. Comes right after a drain: what
    /// opens or closes from then on is told by a record behind it.
    pub fn look(&mut self, pipeline: &mut Pipeline, metrics: &Metrics, outlets: &Outlets) {
        let began = boot_now();
        if !self.look_due || began < self.not_before {
            return;
        }
        self.look_due = false;
        self.find_sockets(pipeline, metrics, outlets);
        let ended = boot_now();
        self.not_before = ended.saturating_add(ended.saturating_sub(began).saturating_mul(SHARE));
    }

    /// Takes in the netlink sockets that were open before the hooks were there.
    pub fn seed(&self, pipeline: &mut Pipeline, metrics: &Metrics, outlets: &Outlets) {
        if self.by_inode {
            self.find_sockets(pipeline, metrics, outlets);
        }
    }

    fn find_sockets(&self, pipeline: &mut Pipeline, metrics: &Metrics, outlets: &Outlets) {
        let hierarchy = PidsHierarchy::find();
        let look = netlink::sockets(hierarchy.as_ref(), self.by_inode, |record| {
            pipeline.seed(record, outlets);
        });
        let (at, held) = match look {
            Ok(look) => {
                metrics.seed_misses.inc_by(look.misses);
                (look.at, look.held)
            }
            Err(error) => {
                log::warn!("/proc: {error}; netlink sockets that no hook told of stay unknown");
                (boot_now(), HeldSockets::default())
            }
        };
        pipeline.fact(&of_node(at, Fact::HeldSockets(held)), outlets);
    }

    /// The followed signals with events that got no record since the last call.
    fn with_gap(&mut self) -> Vec<u32> {
        let mut with_gap = Vec::new();
        for (signal, known) in FOLLOWED.into_iter().zip(&mut self.without_record) {
            let losses = counter::LOSSES.iter().map(|(which, _)| *which);
            // Of what was suppressed the agent is told in sum.
            let without_record = losses.map(|which| self.counters.read(signal, which)).sum();
            if without_record != std::mem::replace(known, without_record) {
                with_gap.push(signal);
            }
        }
        with_gap
    }
}
