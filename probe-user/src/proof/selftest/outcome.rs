//! How far a trial came.

use std::io;

use serde::Serialize;

use super::{bench::Counted, stage::Acted, trial::Trial};
use crate::{
    config::span::Span,
    decode::DecodeError,
    event::BootNs,
    probe::{coverage::Coverage, hook::Rung},
};

/// A link of the chain, in the order of the way through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// A rung carries the hook.
    Hook,
    /// The act could be done.
    Act,
    /// The kernel side counted it.
    Seen,
    /// Its record came out of the ring buffer.
    Delivered,
    /// The record is an event.
    Decoded,
    /// A detector raised the rule, and the book made a finding of it.
    Raised,
    /// The finding was at the sink in time.
    Sink,
}

impl Link {
    const ALL: [Self; 7] = [
        Self::Hook,
        Self::Act,
        Self::Seen,
        Self::Delivered,
        Self::Decoded,
        Self::Raised,
        Self::Sink,
    ];

    /// The link in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Act => "act",
            Self::Seen => "seen",
            Self::Delivered => "delivered",
            Self::Decoded => "decoded",
            Self::Raised => "raised",
            Self::Sink => "sink",
        }
    }

    /// The links that held when this one broke first; all of them when none did.
    #[must_use]
    pub fn before(broke: Option<Self>) -> Vec<Self> {
        Self::ALL.into_iter().filter(|link| broke.is_none_or(|broke| *link < broke)).collect()
    }
}

/// What was noticed of a trial on its way.
#[derive(Debug, Default)]
pub struct Trace {
    /// How the act went; `None` when it did not end.
    pub acted: Option<Acted>,
    /// What the kernel side counted meanwhile.
    pub counted: Counted,
    /// Records of the acting thread, and how many of them are events.
    pub records: u64,
    pub decoded: u64,
    /// Why the last that is none is none.
    pub undecoded: Option<DecodeError>,
    /// Why the ring buffer can no longer be read.
    pub broken_ring: Option<io::Error>,
    pub raised: bool,
    /// When the finding was at the sink (ns since boot).
    pub arrived: Option<BootNs>,
}

impl Trace {
    /// Whether nothing more is to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.acted {
            Some(Ok(_)) => self.arrived.is_some(),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// Time from the act to the sink (ns).
    fn took(&self) -> Option<u64> {
        let Some(Ok(acted)) = self.acted else { return None };
        self.arrived.map(|arrived| arrived.saturating_sub(acted))
    }
}

/// What a trial proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Confirmed,
    Failed,
    /// No rung carries the hook: nothing was done, and what happens would not be seen.
    NotCovered,
}

/// How a trial ended.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub signal: &'static str,
    pub hook: &'static str,
    pub rung: Option<Rung>,
    pub state: State,
    /// What was done.
    pub act: &'static str,
    /// The rule that must hold.
    pub rule: &'static str,
    /// Time from the act to the sink (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// Links that held.
    pub held: Vec<Link>,
    /// The link that broke first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broke_at: Option<Link>,
    /// Why, and what to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Records that came of the act.
    pub records: u64,
    /// What this rung does not see, compared with the best one.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub misses: String,
}

impl Outcome {
    /// Finds the link that broke first.
    #[must_use]
    pub fn of(trial: &Trial, hook: Option<&Coverage>, trace: Trace, within: Span) -> Self {
        let rung = hook.and_then(|hook| hook.rung);
        let took_ms = trace.took().map(|ns| ns / 1_000_000);
        let records = trace.records;
        let broke = match rung {
            Some(rung) => broken(trial, rung, trace, within),
            None => Some((Link::Hook, hook.map_or_else(String::new, uncovered))),
        };
        let (broke_at, why) = broke.map_or((None, String::new()), |(at, why)| (Some(at), why));
        Self {
            signal: trial.signal.name,
            hook: hook.map_or("", |hook| hook.hook.name),
            rung,
            state: match broke_at {
                None => State::Confirmed,
                Some(Link::Hook) => State::NotCovered,
                Some(_) => State::Failed,
            },
            act: trial.what,
            rule: trial.rule,
            took_ms,
            held: Link::before(broke_at),
            broke_at,
            why,
            records,
            misses: hook.map(Coverage::misses).unwrap_or_default(),
        }
    }
}

fn uncovered(hook: &Coverage) -> String {
    format!("cannot see {}: {}; `nodeprobe doctor` says more", hook.hook.sees, hook.why())
}

/// The first link that broke behind a hook on this rung, and why.
fn broken(trial: &Trial, rung: Rung, trace: Trace, within: Span) -> Option<(Link, String)> {
    let took = trace.took();
    match trace.acted {
        None => return Some((Link::Act, "it did not end: the kernel is stuck; see dmesg".into())),
        Some(Err(error)) => return Some((Link::Act, error.to_string())),
        Some(Ok(_)) => {}
    }
    if took.is_some_and(|took| took <= within.ns()) {
        return None;
    }
    let Counted { seen, lost } = trace.counted;
    let (link, why) = if seen == 0 {
        let why = format!(
            "the hook is attached on the {rung} rung, but did not fire; try another with --rung, and \
             report it with `nodeprobe doctor -o json`"
        );
        (Link::Seen, why)
    } else if trace.records == 0 {
        let lost = lost.into_iter().filter(|(_, lost)| *lost > 0);
        let lost: Vec<_> = lost.map(|(reason, lost)| format!("{reason} {lost}")).collect();
        let why = match (trace.broken_ring, lost.is_empty()) {
            (Some(error), _) => format!("the ring buffer cannot be read: {error}"),
            (None, false) => format!(
                "no record came; the kernel side lost some: {}; ring_full means that the node makes more \
                 events than are read, unreadable that this kernel's fields are not known",
                lost.join(", ")
            ),
            (None, true) => {
                "the kernel side counted events, but none of the act's own was among them".into()
            }
        };
        (Link::Delivered, why)
    } else if trace.decoded == 0 {
        let why = trace.undecoded.map_or_else(String::new, |error| error.to_string());
        (Link::Decoded, format!("{why}; kernel programs and agent are of different builds"))
    } else if !trace.raised {
        let (records, rule) = (trace.decoded, trial.rule);
        let why = format!(
            "{records} events came, and {rule} did not hold; some may be missing: see what this rung does \
             not see, and `nodeprobe explain {rule}`"
        );
        (Link::Raised, why)
    } else {
        let why = match took {
            Some(took) => format!("it came after {} ms", took / 1_000_000),
            None => "it was raised, and did not come".into(),
        };
        (Link::Sink, format!("{why}: is the node short of CPU? --within allows more than {within}"))
    };
    Some((link, why))
}

#[cfg(test)]
mod tests;
