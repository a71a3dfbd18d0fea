//! What becomes of records, by the answer of the backend.

use std::{io, sync::Arc, time::Duration};

use super::Desk;
use crate::sinks::{
    backend::{Answer, Reason, Trouble, Verdict},
    record::Record,
    store::Most,
};

impl Desk {
    /// Forgets what the backend has or never wants. Returns why the rest has to be tried again.
    pub(super) fn judge(
        &mut self,
        answer: Answer,
        batch: &[Arc<Record>],
        usual: Most,
    ) -> io::Result<Option<(Trouble, Option<Duration>)>> {
        match answer {
            Answer::Taken { .. } => self.taken(batch.len(), usual),
            Answer::Partly { refused, why } => self.part_taken(batch.len(), refused, &why, usual),
            Answer::Later { trouble, after } => return Ok(Some((trouble, after))),
            Answer::Over(why) => return Err(io::Error::other(why)),
            Answer::Refused(why) | Answer::TooLarge(why) => match batch {
                [record] => {
                    self.bury(record, &why);
                    self.taken(0, usual);
                }
                // Nothing was handed over: the backend had something to do of its own.
                [] => return Ok(Some((Trouble { reason: Reason::Other, text: why }, None))),
                _ => self.most.records = batch.len() / 2,
            },
            Answer::LeftOut => self.left_out(batch.len()),
            Answer::Each(verdicts) => return Ok(self.judge_each(verdicts, batch, usual)),
        }
        Ok(None)
    }

    /// Up to the first record that has to be tried again: those behind it go again with it, so that none
    /// overtakes another.
    fn judge_each(
        &mut self,
        verdicts: Vec<Verdict>,
        batch: &[Arc<Record>],
        usual: Most,
    ) -> Option<(Trouble, Option<Duration>)> {
        let told = verdicts.len();
        for (record, verdict) in batch.iter().zip(verdicts) {
            match verdict {
                Verdict::Taken => self.taken(1, usual),
                Verdict::Refused(why) => self.bury(record, &why),
                Verdict::LeftOut => self.left_out(1),
                Verdict::Later(trouble) => return Some((trouble, None)),
            }
        }
        let untold = || format!("the answer tells of {told} records, of {} sent", batch.len());
        (told < batch.len()).then(|| (Trouble { reason: Reason::Protocol, text: untold() }, None))
    }

    fn taken(&mut self, records: usize, usual: Most) {
        self.store.forget(records);
        self.inlet.written(records);
        self.most.records = (self.most.records * 2).min(usual.records);
    }

    fn left_out(&mut self, records: usize) {
        self.store.forget(records);
        self.inlet.left_out(records);
    }

    /// All but some of which the backend does not tell which they are: no dead letter can be written.
    fn part_taken(&mut self, records: usize, refused: usize, why: &str, usual: Most) {
        // The number is the word of the other side.
        let refused = refused.min(records);
        let name = self.inlet.name();
        log::warn!(
            "{name}: refused {refused} of {records} for good, and does not tell which: {why}"
        );
        self.inlet.refused(refused);
        self.store.forget(refused);
        self.taken(records - refused, usual);
    }

    fn bury(&mut self, record: &Record, why: &str) {
        self.dead.bury(record, why);
        self.store.forget(1);
        self.inlet.refused(1);
    }
}
