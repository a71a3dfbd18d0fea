//! The numbers of an rtnl finding, and the sentence made of them.

use serde::Serialize;

use super::{
    WaitingNow,
    party::Agent,
    waits::{Part, Tally, Totals},
};

/// Holders and waiters named in a finding.
const NAMED: usize = 5;
const MS: u64 = 1_000_000;

/// The numbers of `rtnl-pressure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RtnlEvidence {
    /// Length of the window (s).
    pub window_seconds: u64,
    /// Time that all tasks together waited, as far as it ended in the window (ms).
    pub waited_ms: u64,
    /// Waits it took.
    pub waits: u64,
    /// The longest of them (ns).
    pub longest_ns: u64,
    /// Waits among them that are known in sum alone: they were short, or above the kernel side's budget.
    pub waits_in_sum: u64,
    /// For whom the others waited: who had the mutex when a wait began. Most first, at most five.
    pub holders: Vec<Share>,
    /// Who waited. Most first, at most five.
    pub waiters: Vec<Share>,
    /// Waits that are not over; there when one of them is too long already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
}

/// Waits that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Tasks that have waited for a second or more.
    pub tasks: u64,
    /// The longest wait, until now (ms).
    pub longest_ms: u64,
    /// Name of the process that waits so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiter: Option<String>,
    pub waiter_pid: u32,
    /// Who had the mutex when that wait began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// The share of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Its name: the program's, or the one that ran `ip` or `tc`, or what a kernel worker works for.
    pub name: String,
    /// Process id of its latest task.
    pub pid: u32,
    /// The tool it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    pub waits: u64,
    /// Time others waited for it, or it waited itself (ms).
    pub waited_ms: u64,
    /// Of all waited time.
    pub percent: u64,
}

impl RtnlEvidence {
    /// Of the waits of a window.
    #[must_use]
    pub fn of(
        window: u64,
        totals: Totals,
        holders: &[(Agent, Part)],
        waiters: &[(Agent, Part)],
    ) -> Self {
        let shares = |parts: &[(Agent, Part)]| {
            parts.iter().take(NAMED).map(|part| Share::of(part, totals.all)).collect()
        };
        Self {
            window_seconds: window / (1_000 * MS),
            waited_ms: totals.all.waited_ns / MS,
            waits: totals.all.waits,
            longest_ns: totals.all.longest_ns,
            waits_in_sum: totals.in_sum.waits,
            holders: shares(holders),
            waiters: shares(waiters),
            waiting: None,
        }
    }

    /// With the waits that are not over.
    #[must_use]
    pub fn and_waiting(self, waiting: Option<WaitingNow>) -> Self {
        let waiting = waiting.map(|WaitingNow { tasks, longest }| Waiting {
            tasks,
            longest_ms: longest.waited_ns / MS,
            waiter: longest.waiter.comm.text(),
            waiter_pid: longest.waiter.pid,
            holder: longest.holder.as_ref().map(|holder| Agent::behind(holder).name()),
        });
        Self { waiting, ..self }
    }

    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self) -> String {
        let whom = self.holders.first().map_or_else(String::new, |holder| {
            let through = holder
                .through
                .as_ref()
                .map_or_else(String::new, |tool| format!(" (through {tool})"));
            format!("; {} % of it for {}{through}", holder.percent, holder.name)
        });
        let worst = self.waiters.first().map_or_else(String::new, |waiter| {
            format!("; {} waited most, {} s", waiter.name, seconds(waiter.waited_ms))
        });
        let waiting = self.waiting.as_ref().map_or_else(String::new, |waiting| {
            let holder = waiting.holder.as_deref().unwrap_or("somebody unknown");
            format!(
                "{} tasks still wait for the RTNL mutex, the first for {} s, since {holder} had it; ",
                waiting.tasks,
                seconds(waiting.longest_ms),
            )
        });
        format!(
            "{waiting}tasks waited {} s for the RTNL mutex in {} s ({} waits, the longest {} s){whom}{worst}",
            seconds(self.waited_ms),
            self.window_seconds,
            self.waits,
            seconds(self.longest_ns / MS),
        )
    }
}

impl Share {
    fn of((agent, part): &(Agent, Part), all: Tally) -> Self {
        let own = Agent::Program(part.latest.comm);
        let is_other = matches!(agent, Agent::Program(_)) && *agent != own;
        let (part_ns, all_ns) = (u128::from(part.tally.waited_ns), u128::from(all.waited_ns));
        Self {
            name: agent.name(),
            pid: part.latest.parent.filter(|_| is_other).map_or(part.latest.pid, |(pid, _)| pid),
            through: is_other.then(|| part.latest.comm.text()).flatten(),
            waits: part.tally.waits,
            waited_ms: part.tally.waited_ns / MS,
            percent: u64::try_from(part_ns * 100 / all_ns.max(1)).unwrap_or(100),
        }
    }
}

/// Milliseconds as seconds with a decimal.
fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}
