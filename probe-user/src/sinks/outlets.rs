//! The near ends of all sinks together.

use std::{cell::LazyCell, sync::Arc};

use super::{filter::Events, queue::Outlet, record::Record};
use crate::findings::Finding;

/// The near ends of all sinks.
#[derive(Default)]
pub struct Outlets {
    all: Vec<Outlet>,
    /// Whether one of them is to get events in sums, and whether one is to get each.
    want_sums: bool,
    want_each: bool,
}

impl Outlets {
    /// No sink at all.
    pub const NONE: Self = Self { all: Vec::new(), want_sums: false, want_each: false };

    /// Hands a finding to every sink that is to get it.
    pub fn finding(&self, finding: Finding) {
        if !self.all.is_empty() {
            let record = Arc::new(Record::of_finding(finding));
            self.all.iter().for_each(|outlet| outlet.send(&record));
        }
    }

    /// Whether a sink is to get any event.
    #[must_use]
    pub fn want_events(&self) -> bool {
        self.want_sums || self.want_each
    }

    /// Whether a sink is to get events in this form.
    #[must_use]
    pub fn want(&self, form: Events) -> bool {
        match form {
            Events::None => false,
            Events::Summed => self.want_sums,
            Events::Raw => self.want_each,
        }
    }

    /// Hands an event, or a sum of some, to every sink that is to get it and has room. It is made only
    /// when there is one.
    pub fn event(&self, form: Events, signal: &str, make: impl FnOnce() -> Record) {
        let record = LazyCell::new(|| Arc::new(make()));
        let wanting = self.all.iter().filter(|outlet| outlet.filter.wants(form, signal));
        wanting.filter(|outlet| outlet.admits_event()).for_each(|outlet| outlet.put(&record));
    }

    /// Adds sinks.
    pub fn extend(&mut self, outlets: impl IntoIterator<Item = Outlet>) {
        self.all.extend(outlets);
        self.note_wants();
    }

    /// Closes the queues of some.
    pub fn retain(&mut self, keep: impl FnMut(&Outlet) -> bool) {
        self.all.retain(keep);
        self.note_wants();
    }

    /// All of them, to be added to others.
    pub fn take(&mut self) -> Vec<Outlet> {
        std::mem::take(self).all
    }

    /// Asks every sink to open its files again.
    pub fn reopen(&self) {
        self.all.iter().for_each(Outlet::reopen);
    }

    fn note_wants(&mut self) {
        let want = |form| self.all.iter().any(|outlet| outlet.filter.events == form);
        (self.want_sums, self.want_each) = (want(Events::Summed), want(Events::Raw));
    }
}
