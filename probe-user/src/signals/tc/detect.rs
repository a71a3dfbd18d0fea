//! The detector of the tc signal: what each filter's writes say, each attach point's, each
//! interface's two directions, and all interfaces together.

use probe_common::wire::signal;

use super::{
    Answer, TcChange, TcRequest, duplicates::Programs, gone::Gone, owners::Written, points::Points,
    sides::Sides, slots::Slots, sweep::Sweeps,
};
use crate::{
    config::{Config, tc::TcConfig},
    event::{Body, BootNs, Event, Fact, Gap},
    findings::Condition,
    signals::Detector,
};

/// Judges tc requests.
pub struct TcDetector {
    config: TcConfig,
    slots: Slots,
    points: Points,
    sides: Sides,
    sweeps: Sweeps,
    programs: Programs,
    gone: Gone,
    /// Records are missing among those that come: each tells only what it says by itself.
    in_gap: bool,
    /// When the latest gap was over; a snapshot from before it is too old.
    whole_since: BootNs,
}

impl TcDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &TcConfig) -> Self {
        Self {
            config: config.clone(),
            slots: Slots::default(),
            points: Points::default(),
            sides: Sides::default(),
            sweeps: Sweeps::default(),
            programs: Programs::default(),
            gone: Gone::default(),
            in_gap: false,
            whole_since: 0,
        }
    }

    fn request(&mut self, event: &Event, request: &TcRequest, out: &mut Vec<Condition>) {
        match request.answer {
            Answer::Done | Answer::Unknown => {
                if !request.lets_the_kernel_choose() {
                    self.slots.observe(event, request, &self.config, out);
                }
                if self.in_gap {
                    return;
                }
                let written = self.sides.observe(event, request, &self.config);
                let written = Written::by(request, written);
                self.points.done(event, request, written, &self.config, out);
                self.sweeps.observe(event, request, &self.config);
                self.programs.done(event, request);
            }
            Answer::Failed(_) | Answer::Refused => {
                self.points.failed(event, request, &self.config, out);
            }
        }
    }
}

impl TcDetector {
    /// Takes what the snapshot found. Nothing was written: it only says what there is.
    fn seed(&mut self, event: &Event, request: &TcRequest) {
        if self.in_gap || event.context.at < self.whole_since {
            return;
        }
        let piled_up = self.sides.seed(event, request, &self.config);
        self.points.seed(event, request, piled_up, &self.config);
        self.sweeps.seed(event, request);
    }
}

impl TcDetector {
    /// Forgets what only an unbroken row of requests tells: what is attached where, and whose it is.
    fn gap(&mut self, gap: Gap, at: BootNs) {
        self.in_gap = !gap.passed;
        self.whole_since = at;
        self.points.forget(&self.config);
        self.sides.forget();
        self.programs.forget();
    }
}

impl Detector for TcDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        match &event.body {
            // Told late: what it was about went with its interface.
            Body::Tc(TcChange::Request(request)) if self.gone.knows(event, request) => {}
            Body::Tc(TcChange::Request(request)) => self.request(event, request, out),
            Body::Tc(TcChange::Seeded(request)) => self.seed(event, request),
            Body::Tc(TcChange::LinkGone { ifindex }) => {
                let netns = event.context.netns.unwrap_or(0);
                self.gone.note(netns, *ifindex, event.context.at);
                self.slots.link_gone(netns, *ifindex);
                self.points.link_gone(netns, *ifindex);
                self.sides.link_gone(netns, *ifindex);
                self.sweeps.link_gone(netns, *ifindex);
                self.programs.link_gone(netns, *ifindex);
            }
            Body::Polled(Fact::Gap(gap)) if gap.signal == signal::TC => {
                self.gap(*gap, event.context.at);
            }
            Body::Fork(_)
            | Body::Netlink(_)
            | Body::Rtnl(_)
            | Body::Firewall(_)
            | Body::Polled(_) => {}
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        self.gone.tick(now);
        self.slots.tick(now, &self.config, out);
        self.points.tick(now, &self.config, out);
        self.sides.tick(now, &self.config, out);
        self.sweeps.tick(now, &self.config, out);
        self.programs.tick(now, &self.config, out);
    }

    fn reconfigure(&mut self, config: &Config) {
        self.config = config.tc.clone();
        self.slots.reconfigure(&self.config);
        self.points.reconfigure(&self.config);
    }

    fn tracked(&self) -> usize {
        self.slots.len()
            + self.points.len()
            + self.sides.len()
            + self.sweeps.len()
            + self.programs.len()
    }

    fn evicted(&self) -> u64 {
        self.slots.evicted()
            + self.points.evicted()
            + self.sides.evicted()
            + self.sweeps.evicted()
            + self.programs.evicted()
    }
}
