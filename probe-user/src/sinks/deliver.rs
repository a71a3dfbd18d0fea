//! The loop of a sink: takes records in, hands them over in batches, waits out what passes.

use std::{io, pin::pin, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{
    backend::{Answer, Backend, Reason},
    dead::Dead,
    episode::Episode,
    pauses::Pauses,
    queue::Inlet,
    record::Record,
    store::{Most, News, Store, reached},
};

mod judge;

/// How a sink goes about it.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Most of one batch.
    pub most: Most,
    /// How long a batch may wait to become larger.
    pub linger: Duration,
    /// How long the backend may take to answer.
    pub timeout: Duration,
    /// Pause after the first failure; each further one doubles it.
    pub first_pause: Duration,
    /// Longest pause between two tries.
    pub longest_pause: Duration,
    /// Time for what still waits when the agent ends.
    pub last_words: Duration,
}

impl Policy {
    /// For what is across a network, and takes many records at once.
    pub const NETWORK: Self = Self {
        most: Most { records: 500, bytes: 1024 * 1024 },
        linger: Duration::from_secs(1),
        timeout: Duration::from_secs(30),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(60),
        last_words: Duration::from_secs(5),
    };
}

/// A sink at work, on its own thread.
pub struct Delivery {
    pub backend: Box<dyn Backend>,
    pub store: Box<dyn Store>,
    pub dead: Dead,
    pub policy: Policy,
    pub inlet: Inlet,
}

impl Delivery {
    /// Delivers until the queue is closed and all was handed over, or time is up.
    ///
    /// # Errors
    /// When the backend can never work again, or records were lost with the end.
    pub async fn run(self) -> io::Result<()> {
        let Self { mut backend, store, dead, policy, inlet } = self;
        let mut pauses = Pauses::new(policy.first_pause, policy.longest_pause);
        let (most, last_words, episode) = (policy.most, policy.last_words, Episode::default());
        let mut desk = Desk { store, dead, inlet, closed: None, last_words, most, episode };
        desk.tend();
        loop {
            if !desk.have_some(backend.due()).await {
                return Ok(());
            }
            if desk.inlet.take_reopen() {
                backend.reopen();
                continue;
            }
            if desk.is_out_of_time() {
                return desk.give_up();
            }
            desk.gather(policy.linger, policy.most).await;
            let batch = desk.store.batch(desk.most);
            desk.note();
            if batch.is_empty() && !is_over(backend.due()) {
                continue;
            }
            let began = Instant::now();
            let sending = timeout(policy.timeout, backend.send(&batch));
            let Some(answer) = desk.meanwhile(sending).await else { return desk.give_up() };
            let answer = answer.unwrap_or_else(|_| {
                let seconds = policy.timeout.as_secs();
                Answer::later(Reason::Timeout, format!("no answer within {seconds} s"))
            });
            desk.inlet.took(began.elapsed());
            match desk.judge(answer, &batch, policy.most)? {
                None => {
                    desk.episode.over(began.elapsed(), &desk.inlet);
                    pauses.reset();
                }
                Some((trouble, after)) => {
                    let pause = pauses.next(after);
                    desk.inlet.failed(trouble.reason);
                    desk.episode.trouble(&trouble, pause, &desk.inlet);
                    if desk.meanwhile(sleep(pause)).await.is_none() {
                        return desk.give_up();
                    }
                }
            }
        }
    }
}

/// All of a sink but its backend: what goes on while that one works.
struct Desk {
    store: Box<dyn Store>,
    dead: Dead,
    inlet: Inlet,
    /// When the queue was closed.
    closed: Option<Instant>,
    last_words: Duration,
    /// Most of the next batch: less than usual while it is found out which record is refused.
    most: Most,
    episode: Episode,
}

impl Desk {
    /// Waits until something waits to be handed over, the backend has something to do, or files are to
    /// be opened again; `false` when nothing ever will.
    async fn have_some(&mut self, due: Option<Instant>) -> bool {
        while self.store.waiting() == 0 && !self.inlet.is_to_reopen() {
            if self.closed.is_some() {
                return false;
            }
            if is_over(due) {
                break;
            }
            self.inlet.beat.rest();
            tokio::select! {
                next = self.inlet.next_or_reopen() => {
                    if let Some(next) = next {
                        self.take_in(next);
                    }
                }
                () = reached(self.store.due()) => self.tend(),
                () = reached(due) => {}
            }
        }
        self.inlet.beat.turn();
        true
    }

    /// Waits a moment for more, unless there is enough for a batch.
    async fn gather(&mut self, linger: Duration, most: Most) {
        let enough = |desk: &Self| desk.store.waiting() >= most.records || desk.closed.is_some();
        let until = Instant::now() + linger;
        while !enough(self) && self.store.has_room() {
            tokio::select! {
                next = self.inlet.next() => self.take_in(next),
                () = reached(self.store.due()) => self.tend(),
                () = sleep_until(until) => return,
            }
        }
    }

    /// Takes in a record and all that are there with it.
    fn take_in(&mut self, next: Option<Arc<Record>>) {
        let Some(record) = next else {
            self.closed = Some(Instant::now());
            return;
        };
        self.store.push(record);
        while self.store.has_room()
            && let Some(record) = self.inlet.next_now()
        {
            self.store.push(record);
        }
        self.store.settle();
        self.note();
    }

    /// Does what is due in the store.
    fn tend(&mut self) {
        self.store.tend();
        self.note();
    }

    /// Counts what happened in the store.
    fn note(&mut self) {
        let News { resumed, expired } = self.store.take_news();
        self.inlet.resumed(resumed);
        self.inlet.expired(expired);
    }

    /// Takes records in while something else is waited for; `None` when the agent ends before that.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let open = self.closed.is_none();
            let until = self.deadline().unwrap_or_else(Instant::now);
            self.inlet.beat.turn();
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = reached(self.store.due()) => self.tend(),
                next = self.inlet.next(), if open && self.store.has_room() => self.take_in(next),
                () = sleep_until(until), if !open => return None,
            }
        }
    }

    /// When what still waits is given up, once the queue is closed.
    fn deadline(&self) -> Option<Instant> {
        self.closed.map(|closed| closed + self.last_words)
    }

    fn is_out_of_time(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The agent ends and the backend did not take all.
    fn give_up(mut self) -> io::Result<()> {
        self.store.settle();
        let (name, lost) = (self.inlet.name(), self.store.perishable());
        let kept = self.store.waiting().saturating_sub(lost);
        if kept > 0 {
            log::warn!("{name}: {kept} records wait in the spool for the next start");
        }
        if lost == 0 {
            return Ok(());
        }
        self.inlet.expired(lost);
        Err(io::Error::other(format!("it takes nothing; {lost} records are lost")))
    }
}

fn is_over(due: Option<Instant>) -> bool {
    due.is_some_and(|due| Instant::now() >= due)
}

#[cfg(test)]
mod tests;
