//! Polled facts: what no hook tells, looked up now and then, on a thread of its own so that a slow
//! /proc never keeps the ring waiting. They go through the same pipe as events.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, de::Error};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    config::Config,
    event::{BootNs, Context, Event, Fact},
    findings::clock::boot_now,
    scarce::{self, Want},
    supervise::{End, Part, Supervisor, Turns, heartbeat::Heartbeat},
};

pub(crate) mod fds;
mod node;
mod pids;
pub mod rtnl;

/// Names of all pollers, as metric labels.
pub const NAMES: [&str; 4] = ["node_tasks", "cgroup_tasks", "fds", "rtnl_waiting"];

/// Longest time until another look after one that was not whole.
const SOON: Duration = Duration::from_secs(5);

/// Rounds that may wait for the pipeline; a poller that is ahead of it waits.
const QUEUE: usize = 4;

/// The pollers' thread. Half of the signals live by it alone, and its turns depend on nobody but the
/// kernel: stuck, the agent is better restarted.
const PART: Part = Part {
    name: "pollers",
    end: End::Never,
    help: "what no hook tells stays unknown without it: start nodeprobe again",
    turns: Some(Turns { within: Duration::from_secs(60), vital: true }),
};

/// Looks something up now and then.
pub trait Poller: Send {
    /// One of [`NAMES`].
    fn name(&self) -> &'static str;

    /// Time between two looks.
    fn every(&self) -> Duration;

    /// Looks, and adds what it saw. What cannot be read is left out; where that is for want of fds
    /// (`scarce`), nothing is added that would then be wrong.
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

/// A poller's name.
pub type Name = &'static str;

/// Reads a poller's name; one that there is.
///
/// # Errors
/// When no poller is called so.
pub fn known<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
    let name = String::deserialize(from)?;
    let known = NAMES.iter().find(|known| **known == name);
    known.copied().ok_or_else(|| D::Error::custom("no poller is called so"))
}

/// An event for a fact about the whole node.
pub fn of_node(at: BootNs, fact: Fact) -> Event {
    Event::polled(Context { at, ..Context::default() }, fact)
}

/// The near end of the pollers' thread.
pub struct Polls(Receiver<Vec<Event>>);

impl Polls {
    /// Waits for the next round of facts; `None` when the thread is gone, of which the supervisor tells.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        self.0.recv().await
    }
}

/// Starts the pollers, and `more` that read what the kernel side keeps.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(
    config: &Config,
    more: Vec<Box<dyn Poller>>,
    supervisor: &mut Supervisor,
) -> io::Result<Polls> {
    let (to, from) = channel(QUEUE);
    let mut pollers = pollers(config);
    pollers.extend(more);
    supervisor.thread(PART, 256 * 1024, move |beat| {
        work(pollers, &to, beat);
        Ok(())
    })?;
    Ok(Polls(from))
}

/// Up to a fifth less than `every`, by chance: what comes and goes in step with the looks would seem
/// to stand still, or to creep. The nanoseconds of a clock read between two looks are chance enough.
fn shortened(every: Duration, now: BootNs) -> Duration {
    let part = u32::try_from(now % 1_024).unwrap_or(0);
    every.saturating_sub(every / 5 / 1_024 * part)
}

/// A poller and when it looks next.
struct Due {
    next: Instant,
    poller: Box<dyn Poller>,
    want: Want,
}

impl Due {
    fn new(poller: Box<dyn Poller>) -> Self {
        Self { next: Instant::now(), want: Want::of(poller.name()), poller }
    }

    fn look(&mut self, facts: &mut Vec<Event>) {
        let at = boot_now();
        let ((), refused) = scarce::watch(|| self.poller.look(at, facts));
        let mut every = self.poller.every();
        if let Some(error) = refused {
            self.want.fails(&error);
            facts.push(of_node(at, Fact::Blind(self.poller.name())));
            every = every.min(SOON);
        } else {
            self.want.works();
        }
        self.next = Instant::now() + shortened(every, boot_now());
    }
}

/// Looks whenever a poller is due, until nobody listens any more.
fn work(pollers: Vec<Box<dyn Poller>>, to: &Sender<Vec<Event>>, beat: &Heartbeat) {
    let mut due: Vec<Due> = pollers.into_iter().map(Due::new).collect();
    loop {
        let mut facts = Vec::new();
        due.iter_mut().filter(|due| due.next <= Instant::now()).for_each(|due| {
            beat.turn();
            due.look(&mut facts);
        });
        // It waits for the pipeline, then for time to pass.
        beat.rest();
        if !facts.is_empty() && to.blocking_send(facts).is_err() {
            return;
        }
        let Some(next) = due.iter().map(|due| due.next).min() else { return };
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Body;
    use crate::event::NodeTasks;

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

    /// Sees something, and then has no fd for the rest.
    struct Poor(bool);

    impl Poller for Poor {
        fn name(&self) -> &'static str {
            NAMES[2]
        }

        fn every(&self) -> Duration {
            Duration::from_secs(600)
        }

        fn look(&mut self, at: BootNs, facts: &mut Vec<Event>) {
            facts.push(of_node(at, Fact::NodeTasks(NodeTasks::default())));
            if self.0 {
                let refused = io::Error::from_raw_os_error(libc::EMFILE);
                let _ = scarce::noted::<()>(Err(refused));
            }
        }
    }

    #[test]
    fn a_look_that_was_not_whole_says_so_and_is_made_again_soon() {
        let mut facts = Vec::new();
        let mut due = Due::new(Box::new(Poor(true)));
        due.look(&mut facts);
        let Some(Body::Polled(fact)) = facts.last().map(|event| &event.body) else { panic!() };
        assert_eq!((facts.len(), fact), (2, &Fact::Blind("fds")));
        assert!(due.next <= Instant::now() + SOON);

        let mut due = Due::new(Box::new(Poor(false)));
        due.look(&mut facts);
        assert_eq!(facts.len(), 3, "what was seen, and no more");
        assert!(due.next > Instant::now() + SOON);
    }
}
