//! The detector of the tc signal: what each filter's writes say, and what each attach point's do.

use super::{Answer, TcChange, TcRequest, duplicates::Programs, points::Points, slots::Slots};
use crate::{
    config::tc::TcConfig,
    event::{Body, BootNs, Event},
    findings::Condition,
    signals::Detector,
};

/// Judges tc requests.
pub struct TcDetector {
    config: TcConfig,
    slots: Slots,
    points: Points,
    programs: Programs,
}

impl TcDetector {
    /// A detector with the thresholds of `config`.
    #[must_use]
    pub fn new(config: &TcConfig) -> Self {
        let (slots, points, programs) = Default::default();
        Self { config: config.clone(), slots, points, programs }
    }

    fn request(&mut self, event: &Event, request: &TcRequest, out: &mut Vec<Condition>) {
        match request.answer {
            Answer::Done | Answer::Unknown => {
                if !request.lets_the_kernel_choose() {
                    self.slots.observe(event, request, &self.config, out);
                }
                self.points.done(event, request, &self.config, out);
                self.programs.done(event, request);
            }
            Answer::Failed(_) | Answer::Refused => {
                self.points.failed(event, request, &self.config, out);
            }
        }
    }
}

impl Detector for TcDetector {
    fn observe(&mut self, event: &Event, out: &mut Vec<Condition>) {
        match &event.body {
            Body::Tc(TcChange::Request(request)) => self.request(event, request, out),
            Body::Tc(TcChange::LinkGone { ifindex }) => {
                let netns = event.context.netns.unwrap_or(0);
                self.slots.link_gone(netns, *ifindex);
                self.points.link_gone(netns, *ifindex);
                self.programs.link_gone(netns, *ifindex);
            }
            Body::Fork(_) | Body::Netlink(_) | Body::Polled(_) => {}
        }
    }

    fn tick(&mut self, now: BootNs, out: &mut Vec<Condition>) {
        self.slots.tick(now, &self.config, out);
        self.points.tick(now, &self.config, out);
        self.programs.tick(now, &self.config, out);
    }

    fn tracked(&self) -> usize {
        self.slots.len() + self.points.len() + self.programs.len()
    }

    fn evicted(&self) -> u64 {
        self.slots.evicted() + self.points.evicted() + self.programs.evicted()
    }
}
