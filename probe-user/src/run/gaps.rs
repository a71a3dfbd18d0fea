//! Records that got lost, and programs the kernel left out: noticed where the ring is drained, and made
//! good by asking /proc and rtnetlink what there is.

use std::sync::Arc;

use aya::Ebpf;
use probe_common::{counter, wire::signal};

use crate::{
    enrich::cgroup::PidsHierarchy,
    event::{BootNs, Fact, Gap, HeldSockets},
    findings::clock::boot_now,
    metrics::Metrics,
    pipeline::Pipeline,
    probe::{cost::Runs, counters::Counters, coverage::Coverage},
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
/// After this long (ns) all is told that the kernel side held back when records were lost, sockets among
/// it whose close was lost: no look before can tell that these are gone. See `source::untold`.
const TOLD: u64 = 3_000_000_000;

/// What is known of lost records.
pub struct Gaps {
    counters: Arc<Counters>,
    /// Events without a record so far, of each followed signal.
    without_record: [u64; FOLLOWED.len()],
    /// What the hooks of each followed signal saw so far.
    seen: [u64; FOLLOWED.len()],
    /// For how many ticks more the kernel is asked what it left out of each.
    ask: [u8; FOLLOWED.len()],
    /// How often a program of each was left out so far.
    left_out: [u64; FOLLOWED.len()],
    /// Whether one was since the last drain.
    was_left_out: [bool; FOLLOWED.len()],
    /// Whether records name a netlink socket by its inode.
    by_inode: bool,
    /// Whether netlink sockets have to be looked for.
    look_due: bool,
    /// When the next look may be.
    not_before: BootNs,
    /// When all is told that was held back at the last loss.
    told: BootNs,
}

impl Gaps {
    /// `by_inode`: whether records name a netlink socket by its inode.
    pub fn new(counters: Arc<Counters>, by_inode: bool) -> Self {
        Self {
            counters,
            without_record: [0; FOLLOWED.len()],
            seen: [0; FOLLOWED.len()],
            ask: [0; FOLLOWED.len()],
            left_out: [0; FOLLOWED.len()],
            was_left_out: [false; FOLLOWED.len()],
            by_inode,
            look_due: false,
            not_before: 0,
            told: 0,
        }
    }

    /// Asks the kernel whether it left programs of the followed signals out, once a tick. It does so
    /// while one of them runs, and that one counts what it saw: where nothing was seen in this tick and
    /// the one before there is nothing to ask.
    pub fn ask_what_was_left_out(&mut self, ebpf: &Ebpf, coverage: &[Coverage]) {
        for (index, signal) in FOLLOWED.into_iter().enumerate() {
            let seen = self.counters.read(signal, counter::SEEN);
            let is_new = std::mem::replace(&mut self.seen[index], seen) != seen;
            self.ask[index] = if is_new { 2 } else { self.ask[index].saturating_sub(1) };
            if self.ask[index] == 0 {
                continue;
            }
            let of_signal = coverage.iter().filter(|covered| covered.signal.wire == signal);
            let programs = of_signal.flat_map(Coverage::programs);
            let runs = programs.filter_map(|name| Runs::of(ebpf.program(name)?));
            let left_out = runs.map(|runs| runs.left_out).sum();
            self.was_left_out[index] |= self.left_out[index] < left_out;
            self.left_out[index] = left_out;
        }
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
        if with_gap.contains(&signal::NETLINK) {
            self.told = boot_now().saturating_add(TOLD);
            if !self.look_due {
                self.not_before = self.not_before.max(self.told);
            }
            self.look_due = true;
        }
    }

    /// Looks for netlink sockets if some may have come or gone unseen. Comes right after a drain: what
    /// opens or closes from then on is told by a record behind it.
    pub fn look(&mut self, pipeline: &mut Pipeline, metrics: &Metrics, outlets: &Outlets) {
        let began = boot_now();
        if !self.look_due || began < self.not_before {
            return;
        }
        self.look_due = began < self.told;
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

    /// The followed signals with events that got no record, or no program, since the last call.
    fn with_gap(&mut self) -> Vec<u32> {
        let mut with_gap = Vec::new();
        let known = self.without_record.iter_mut().zip(&mut self.was_left_out);
        for (signal, (known, left_out)) in FOLLOWED.into_iter().zip(known) {
            let losses = counter::LOSSES.iter().map(|(which, _)| *which);
            // Of what was suppressed the agent is told in sum.
            let without_record = losses.map(|which| self.counters.read(signal, which)).sum();
            let was_left_out = std::mem::take(left_out);
            if was_left_out || without_record != std::mem::replace(known, without_record) {
                with_gap.push(signal);
            }
        }
        with_gap
    }
}
