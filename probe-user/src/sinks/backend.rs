//! What a sink must be able to do: hand a batch over, and say what became of it.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::record::Record;

/// A batch on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// The far side of a sink. It lives on a thread of its own, with a runtime of its own.
pub trait Backend: Send {
    /// Hands records over, the oldest first, and tells what the other side made of them. It need not
    /// mind time: whoever calls gives up on it after a while, by dropping what it returns; the next call
    /// must then begin anew.
    fn send<'a>(&'a mut self, batch: &'a [Arc<Record>]) -> Sending<'a>;

    /// When it has something to do although nothing is to be handed over: then it is sent a batch of no
    /// records.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Whether a library of it looks names up by itself, for which there must be a thread.
    fn looks_up(&self) -> bool {
        false
    }

    /// Somebody moved files away, or changed them: open them again.
    fn reopen(&mut self) {}
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it is safe at the other side. `said` is its answer in a few words, for `send-test`.
    Taken { said: String },
    /// None of it, and it may be taken later; at the earliest after `after`, where the other side said so.
    Later { trouble: Trouble, after: Option<Duration> },
    /// All but some that it does not want, and does not tell which: none is sent again.
    Partly { refused: usize, why: String },
    /// None of it, ever: the other side understood and does not want it.
    Refused(String),
    /// None of it, ever, by a bound of the backend's own on what it tells.
    LeftOut,
    /// None of it, and it may be taken in smaller pieces.
    TooLarge(String),
    /// Each record has a fate of its own, in the order of the batch.
    Each(Vec<Verdict>),
    /// The sink can never work again; it ends with these words.
    Over(String),
}

impl Answer {
    /// All of it, without a word of the other side.
    #[must_use]
    pub fn taken() -> Self {
        Self::Taken { said: "taken".into() }
    }

    /// What becomes of a batch whose records go one by one, up to the first that has to wait: those
    /// behind it wait with it.
    pub async fn one_by_one(
        batch: &[Arc<Record>],
        mut hand_over: impl AsyncFnMut(&Record) -> Self,
    ) -> Self {
        let mut verdicts = Vec::with_capacity(batch.len());
        let mut last = Self::taken();
        for record in batch {
            last = hand_over(record).await;
            match &last {
                Self::Taken { .. } => verdicts.push(Verdict::Taken),
                Self::Refused(why) | Self::TooLarge(why) | Self::Partly { why, .. } => {
                    verdicts.push(Verdict::Refused(why.clone()));
                }
                Self::LeftOut => verdicts.push(Verdict::LeftOut),
                Self::Later { trouble, .. } if !verdicts.is_empty() => {
                    verdicts.push(Verdict::Later(trouble.clone()));
                    return Self::Each(verdicts);
                }
                Self::Later { .. } | Self::Each(_) | Self::Over(_) => return last,
            }
        }
        match verdicts.iter().all(|verdict| *verdict == Verdict::Taken) {
            true => last,
            false => Self::Each(verdicts),
        }
    }

    /// None of it for now.
    #[must_use]
    pub fn later(reason: Reason, text: impl Into<String>) -> Self {
        Self::Later { trouble: Trouble { reason, text: text.into() }, after: None }
    }
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    Later(Trouble),
    Refused(String),
    LeftOut,
}

/// Why something was not taken that may be later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    /// In words, with those of the other side.
    pub text: String,
}

/// Kinds of trouble, as metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nobody answers at the address, or its name is not known.
    Connect,
    /// No answer in time.
    Timeout,
    /// TLS does not come about.
    Tls,
    /// The other side does not know us, or not any more.
    Auth,
    /// The other side has no room at the moment.
    Busy,
    /// The other side has trouble of its own.
    Server,
    /// The answer is none.
    Protocol,
    /// No space left on a disk.
    NoSpace,
    /// A read or write failed.
    Io,
    /// A file that may not grow further.
    TooLarge,
    /// Anything else that passes.
    Other,
}

impl Reason {
    /// All of them, for metric registration.
    pub const ALL: [Self; 11] = [
        Self::Connect,
        Self::Timeout,
        Self::Tls,
        Self::Auth,
        Self::Busy,
        Self::Server,
        Self::Protocol,
        Self::NoSpace,
        Self::Io,
        Self::TooLarge,
        Self::Other,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Busy => "busy",
            Self::Server => "server",
            Self::Protocol => "protocol",
            Self::NoSpace => "no_space",
            Self::Io => "io",
            Self::TooLarge => "too_large",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::testing::finding;

    #[test]
    fn what_waits_holds_back_only_what_is_behind_it() {
        let batch: Vec<_> = (0..4).map(|_| Arc::new(Record::of_finding(finding()))).collect();
        let play = |answers: [Answer; 4]| {
            let mut answers = answers.into_iter();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let each = Answer::one_by_one(&batch, async |_| answers.next().unwrap());
            runtime.block_on(each)
        };
        let (taken, wait) = (Answer::taken, || Answer::later(Reason::Busy, "wait"));
        let Answer::Later { trouble, .. } = wait() else { unreachable!() };
        assert_eq!(play([taken(), taken(), taken(), taken()]), taken());
        assert_eq!(play([wait(), taken(), taken(), taken()]), wait());
        let each = [Verdict::Taken, Verdict::Refused("no".into()), Verdict::Later(trouble)];
        let no = || Answer::Refused("no".into());
        assert_eq!(play([taken(), no(), wait(), taken()]), Answer::Each(each.into()));
        let Answer::Each(verdicts) = play([taken(), taken(), taken(), no()]) else { panic!() };
        assert_eq!(verdicts[3], Verdict::Refused("no".into()));
    }
}
