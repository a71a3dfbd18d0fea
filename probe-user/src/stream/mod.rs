//! Events on their way to sinks that asked for them, each by itself or in sums. Behind detection, and
//! bounded: what finds no room is counted at the sink and gone.

use jiff::Timestamp;

use crate::{
    config::events::EventsConfig,
    event::{BootNs, Event},
    findings::{Severity, clock::Clock},
    signals::kind_label,
    sinks::{
        Outlets,
        filter::Events,
        record::{Kind, Meta, Record},
    },
    text::plain,
};

mod sums;
mod told;

use sums::Sums;
pub use told::Told;

/// What is known of events between two ticks.
pub struct Stream {
    sums: Sums,
    /// Records made, for their ids.
    made: u64,
}

impl Stream {
    /// A stream that sums up as it is configured.
    #[must_use]
    pub fn new(config: &EventsConfig) -> Self {
        Self { sums: Sums::new(config.interval.ns()), made: 0 }
    }

    /// Sums up in other intervals, from the next on.
    pub fn reconfigure(&mut self, config: &EventsConfig) {
        self.sums.sum_up_in(config.interval.ns());
    }

    /// Takes an event of a record kind.
    pub fn take(&mut self, kind: u16, event: &Event, clock: Clock, outlets: &Outlets) {
        let Some((signal, label)) = kind_label(kind) else { return };
        if outlets.want(Events::Summed) {
            self.sums.add(kind, event);
        }
        if outlets.want(Events::Raw) {
            let made = &mut self.made;
            outlets.event(Events::Raw, signal, || {
                let at = clock.wall(event.context.at);
                let who = told::who(event.context.pid, event.context.comm);
                let meta = meta(made, [signal, label], at, format!("{signal} {label}{who}"));
                Record::of_event(meta, event.clone())
            });
        }
    }

    /// Takes the time: hands over sums whose interval is over, some each second.
    pub fn tick(&mut self, now: BootNs, clock: Clock, outlets: &Outlets) {
        self.sums.tick(now);
        self.send_sums(sums::A_TICK, clock, outlets);
    }

    /// Hands over all sums there are: there will be no more.
    pub fn finish(&mut self, clock: Clock, outlets: &Outlets) {
        self.sums.end_interval();
        self.send_sums(usize::MAX, clock, outlets);
    }

    fn send_sums(&mut self, most: usize, clock: Clock, outlets: &Outlets) {
        for sum in self.sums.take(most) {
            let Some((signal, label)) = kind_label(sum.kind()) else { continue };
            let made = &mut self.made;
            outlets.event(Events::Summed, signal, || {
                let summary = sum.summary(signal, label);
                let meta = meta(made, [signal, label], clock.wall(sum.last()), summary);
                let json = sum.json(&meta, clock);
                Record::of_json(meta, json)
            });
        }
    }
}

fn meta(made: &mut u64, [signal, kind]: [&str; 2], at: Timestamp, summary: String) -> Meta {
    *made += 1;
    Meta {
        // The time tells this agent's from those of its earlier lives.
        id: format!("{signal}-{kind}-{:x}-{made:x}", at.as_microsecond()),
        kind: Kind::Event,
        at,
        signal: signal.into(),
        rule: kind.into(),
        severity: Severity::Info,
        state: None,
        summary: plain(&summary),
    }
}

#[cfg(test)]
mod tests;
