//! A sink within the agent: calls a function with each record.

use std::{sync::Arc, time::Duration};

use super::{
    Backend, Plan, Policy,
    backend::{Answer, Sending},
    filter::Filter,
    record::Record,
    store::Most,
};
use crate::supervise::Part;

const POLICY: Policy = Policy {
    most: Most { records: 1, bytes: usize::MAX },
    linger: Duration::ZERO,
    timeout: Duration::from_secs(3600),
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_secs(1),
    last_words: Duration::from_secs(60),
};

/// A sink that calls `work` with each record.
#[must_use]
pub fn plan(
    name: &'static str,
    part: Part,
    work: impl FnMut(&Record) -> Answer + Send + 'static,
) -> Plan {
    let backend = Box::new(Call(work));
    Plan {
        name,
        part,
        filter: Filter::default(),
        patient: false,
        policy: POLICY,
        spool: None,
        backend,
    }
}

struct Call<F>(F);

impl<F: FnMut(&Record) -> Answer + Send> Backend for Call<F> {
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a> {
        let Self(call) = self;
        Box::pin(async move {
            let answers = batch.iter().map(|record| call(record));
            answers.last().unwrap_or_else(Answer::taken)
        })
    }
}
