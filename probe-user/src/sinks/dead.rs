//! Records that a backend will never take: said and kept apart, so that they block nobody.

use super::record::Record;

/// Where refused records end.
#[derive(Default)]
pub struct Dead;

impl Dead {
    /// Takes a record that the sink called `name` was refused.
    pub fn bury(&mut self, name: &str, record: &Record, why: &str) {
        log::warn!("{name}: refused {} for good: {why}", record.meta.id);
    }
}
