//! The numbers of a finding about two backends, and the sentence made of them.

use serde::Serialize;

use super::{Family, side::Side, writer::Writer};
use crate::{enrich::subject::Subject, event::BootNs};

const SECOND: u64 = 1_000_000_000;

/// The numbers of `firewall-two-backends`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirewallEvidence {
    pub table: &'static str,
    pub family: Family,
    /// How long a write counts (s).
    pub window_seconds: u64,
    pub legacy: Written,
    pub nft: Written,
    /// An agent that wrote by both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched: Option<String>,
    /// Time from the last clone that was refused to an agent to its first write by a backend (s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork_refused_seconds_before: Option<u64>,
}

/// What one backend has written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// legacy: entries of the table, user-defined chains among them. nft: rules added since the first write.
    pub rules: u64,
    /// nft: rules, or whole chains of them, deleted since the first write.
    pub removed: u64,
    /// Whether there are more rules than could be counted.
    pub more: bool,
    pub writes: u64,
    /// When the first write of those was, before this evidence (s).
    pub first_seconds_ago: u64,
    pub last_seconds_ago: u64,
    /// Who wrote, the latest first; at most eight.
    pub writers: Vec<By>,
}

/// An agent that wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct By {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub pid: u32,
    /// The tool it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    pub writes: u64,
    pub last_seconds_ago: u64,
}

impl By {
    fn of(writer: &Writer, now: BootNs) -> Self {
        Self {
            name: writer.comm.text(),
            pid: writer.pid,
            through: writer.through.and_then(|comm| comm.text()),
            writes: writer.writes,
            last_seconds_ago: now.saturating_sub(writer.latest) / SECOND,
        }
    }

    fn label(&self) -> String {
        let name = self.name.as_deref().unwrap_or("a process");
        match &self.through {
            Some(tool) => format!("{name} through {tool}"),
            None => name.to_owned(),
        }
    }
}

impl Written {
    /// Of a side as it is at `now`.
    #[must_use]
    pub fn of(side: &Side, now: BootNs) -> Self {
        let mut writers: Vec<By> = side.writers.iter().map(|writer| By::of(writer, now)).collect();
        writers.sort_by_key(|by| by.last_seconds_ago);
        Self {
            rules: side.rules,
            removed: side.removed,
            more: side.more,
            writes: side.writes,
            first_seconds_ago: now.saturating_sub(side.first) / SECOND,
            last_seconds_ago: now.saturating_sub(side.latest) / SECOND,
            writers,
        }
    }

    /// `counted` is what one of its rules is called, and several.
    fn label(&self, counted: [&str; 2]) -> String {
        let who = self.writers.first().map_or_else(|| "a process".into(), By::label);
        let Self { rules, last_seconds_ago, .. } = self;
        let rules = match (self.more, counted) {
            (true, [_, many]) => format!("more than {rules} {many}"),
            (false, [one, _]) if *rules == 1 => format!("1 {one}"),
            (false, [_, many]) => format!("{rules} {many}"),
        };
        format!("by {who}, {rules}, last {last_seconds_ago} s ago")
    }
}

impl FirewallEvidence {
    /// The table: `ip filter`.
    #[must_use]
    pub fn table_label(&self) -> String {
        let family = match self.family {
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
        };
        format!("{family} {}", self.table)
    }

    /// One sentence for the finding.
    #[must_use]
    pub fn summary(&self, subject: &Subject) -> String {
        let netns = subject.netns_label().map_or_else(String::new, |netns| format!(" of {netns}"));
        let switched = self.switched.as_ref().map_or_else(String::new, |agent| {
            format!("; {agent} wrote by both: it switched its backend")
        });
        let refused = self.fork_refused_seconds_before.map_or_else(String::new, |seconds| {
            format!("; clones had been refused to the writer {seconds} s before")
        });
        format!(
            "two backends of iptables rule table {}{netns}: legacy ({}) and nft ({}){switched}{refused}",
            self.table_label(),
            self.legacy.label(["entry", "entries"]),
            self.nft.label(["rule added", "rules added"]),
        )
    }
}
