//! Polled facts: what no hook tells, looked up now and then, on a thread of its own so that a slow
//! /proc never keeps the ring waiting. They go through the same pipe as events.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    config::Config,
    event::{Body, BootNs, Context, Event, Fact},
    findings::clock::boot_now,
};

pub(crate) mod fds;
mod node;
mod pids;
pub mod rtnl;

/// Rounds that may wait for the pipeline; a poller that is ahead of it waits.
const QUEUE: usize = 4;

/// Looks something up now and then.
pub trait Poller: Send {
    /// Time between two looks.
    fn every(&self) -> Duration;

    /// Looks, and adds what it saw. What cannot be read is left out.
    fn look(&mut self, at: BootNs, facts: &mut Vec<Event>);
}

/// Every poller that needs nothing of the kernel side.
fn pollers(config: &Config) -> Vec<Box<dyn Poller>> {
    let fork = Duration::from_nanos(config.fork.poll.ns());
    vec![
        Box::new(node::NodeTasksPoller::new(fork)),
        Box::new(pids::CgroupTasksPoller::new(fork)),
        Box::new(fds::FdPoller::new(&config.fd)),
    ]
}

/// An event for a fact about the whole node.
fn of_node(at: BootNs, fact: Fact) -> Event {
    Event { context: Context { at, ..Context::default() }, body: Body::Polled(fact) }
}

/// The near end of the pollers' thread.
pub struct Polls(Receiver<Vec<Event>>);

impl Polls {
    /// Waits for the next round of facts; `None` when the thread is gone, which it must not be.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        self.0.recv().await
    }
}

/// Starts the pollers, and `more` that read what the kernel side keeps.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(config: &Config, more: Vec<Box<dyn Poller>>) -> io::Result<Polls> {
    let (to, from) = channel(QUEUE);
    let mut pollers = pollers(config);
    pollers.extend(more);
    thread::Builder::new()
        .name("pollers".into())
        .stack_size(256 * 1024)
        .spawn(move || work(pollers, &to))?;
    Ok(Polls(from))
}

/// Up to a fifth less than `every`, by chance: what comes and goes in step with the looks would seem
/// to stand still, or to creep. The nanoseconds of a clock read between two looks are chance enough.
fn shortened(every: Duration, now: BootNs) -> Duration {
    let part = u32::try_from(now % 1_024).unwrap_or(0);
    every.saturating_sub(every / 5 / 1_024 * part)
}

/// Looks whenever a poller is due, until nobody listens any more.
fn work(pollers: Vec<Box<dyn Poller>>, to: &Sender<Vec<Event>>) {
    let mut due: Vec<(Instant, Box<dyn Poller>)> =
        pollers.into_iter().map(|poller| (Instant::now(), poller)).collect();
    loop {
        let mut facts = Vec::new();
        for (next, poller) in &mut due {
            if *next <= Instant::now() {
                poller.look(boot_now(), &mut facts);
                *next = Instant::now() + shortened(poller.every(), boot_now());
            }
        }
        if !facts.is_empty() && to.blocking_send(facts).is_err() {
            return;
        }
        let Some(next) = due.iter().map(|(next, _)| *next).min() else { return };
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_a_little_early_and_never_late() {
        let every = Duration::from_secs(5);
        assert_eq!(shortened(every, 1_024), every);
        for now in 0..5_000 {
            let next = shortened(every, now);
            assert!(next <= every && next > every * 79 / 100, "{next:?}");
        }
        assert_eq!(shortened(Duration::ZERO, 7), Duration::ZERO);
    }
}
