//! What one backend has written to one table.

use super::{Backend, FirewallWrite, writer::Writer};
use crate::event::{BootNs, Event};

/// Agents remembered of one side.
const MOST_WRITERS: usize = 8;

/// The rules of one backend in one table.
#[derive(Debug)]
pub struct Side {
    pub first: BootNs,
    pub latest: BootNs,
    pub writes: u64,
    /// legacy: entries there are. nft: rules added since the first write that was seen.
    pub rules: u64,
    /// nft: rules, or whole chains, deleted since then.
    pub removed: u64,
    /// Whether there are more rules than were counted.
    pub more: bool,
    /// When clones were last refused to whoever wrote first here, shortly before.
    pub refused: Option<BootNs>,
    pub writers: Vec<Writer>,
}

impl Side {
    /// Begins with its first write.
    #[must_use]
    pub fn new(at: BootNs, refused: Option<BootNs>) -> Self {
        Self {
            first: at,
            latest: at,
            writes: 0,
            rules: 0,
            removed: 0,
            more: false,
            refused,
            writers: Vec::new(),
        }
    }

    /// Adds a write.
    pub fn note(&mut self, event: &Event, write: &FirewallWrite) {
        let (at, events) = (event.context.at, event.count() as u64);
        self.latest = self.latest.max(at);
        self.writes += events;
        match write.backend {
            Backend::Legacy => self.rules = u64::from(write.rules),
            Backend::Nft => {
                self.rules += u64::from(write.rules);
                self.removed += u64::from(write.removed);
                // Of those in sum the last one's rules are known.
                self.more |= write.cut || events > 1;
            }
        }
        self.note_writer(Writer::behind(event, write));
    }

    fn note_writer(&mut self, writer: Writer) {
        if let Some(known) = self.writers.iter_mut().find(|known| known.is_alike(&writer)) {
            *known = Writer { writes: known.writes + writer.writes, ..writer };
            return;
        }
        if self.writers.len() >= MOST_WRITERS {
            let stalest = self.writers.iter().enumerate().min_by_key(|(_, known)| known.latest);
            if let Some((stalest, _)) = stalest {
                self.writers.swap_remove(stalest);
            }
        }
        self.writers.push(writer);
    }
}
